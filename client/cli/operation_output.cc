#include "client/cli/operation_output.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/progress.h"
#include "client/cli/table.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

double Seconds(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + 1e-9 * time.nanos();
}

}  // namespace

absl::Status WatchAndPrint(Context& context, const std::string& operation_id) {
  ProgressBar progress(context.err(), context.columns());
  absl::StatusOr<v1::Operation> ended =
      context.client().WaitOperation(operation_id, [&](const v1::Operation& operation) {
        if (operation.state() == v1::RUNNING) {
          progress.Update(absl::StrCat(operation.kind(), ": ", operation.phase()), "",
                          operation.done(), operation.total());
        } else if (operation.state() == v1::SUCCEEDED) {
          progress.Complete();
        }
      });
  progress.Finish();
  RETURN_IF_ERROR(ended.status());
  PrintOperation(context, *ended);
  return absl::OkStatus();
}

void PrintOperation(Context& context, const v1::Operation& operation) {
  if (context.json()) return context.PrintJson(ToJson(operation));
  Table table({{"FIELD"}, {"VALUE"}});
  table.AddRow({"operation", operation.operation_id()});
  table.AddRow({"kind", operation.kind()});
  table.AddRow({"collection", operation.collection_name()});
  table.AddRow({"state", v1::OperationState_Name(operation.state())});
  if (operation.state() == v1::RUNNING) {
    table.AddRow({"phase", operation.phase()});
    table.AddRow({"progress", absl::StrCat(FormatCount(operation.done()), " / ",
                                           FormatCount(operation.total()))});
  }
  if (operation.has_error()) table.AddRow({"error", operation.error().message()});
  if (operation.codebook_version() > 0) {
    table.AddRow({"codebook version", std::to_string(operation.codebook_version())});
  }
  if (!operation.snapshot_id().empty()) table.AddRow({"snapshot", operation.snapshot_id()});
  table.AddRow({"started", ToText(operation.start_time())});
  if (operation.has_end_time()) {
    table.AddRow({"took", absl::StrCat(FormatFixed(Seconds(operation.end_time()) -
                                                       Seconds(operation.start_time()),
                                                   1),
                                       " s")});
  }
  context.out() << table.Render();
}

}  // namespace tessera::cli
