// tessera fsck DATA_DIR
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/format.h"
#include "client/cli/progress.h"
#include "client/cli/table.h"
#include "index/base/status_macros.h"
#include "server/fsck/fsck.h"

namespace tessera::cli {
namespace {

struct FsckOptions {
  std::string data_dir;
};

void PrintReport(Context& context, const FsckOptions& options, const FsckReport& report) {
  if (context.json()) {
    Json findings = Json::array();
    for (const FsckFinding& finding : report.findings) {
      findings.push_back({{"where", finding.where}, {"what", finding.what}});
    }
    return context.PrintJson(Json{{"data_dir", options.data_dir},
                                  {"ok", report.ok()},
                                  {"collections", report.collections},
                                  {"points", report.points},
                                  {"records", report.records},
                                  {"leftover_records", report.leftover_records},
                                  {"damages", report.damages},
                                  {"findings", findings}});
  }
  for (const FsckFinding& finding : report.findings) {
    context.out() << Printable(absl::StrCat(finding.where, ": ", finding.what)) << "\n";
  }
  if (report.damages > report.findings.size()) {
    context.out() << "and " << FormatCount(report.damages - report.findings.size()) << " more\n";
  }
  Table table({{"FIELD"}, {"VALUE"}});
  table.AddRow({"collections", FormatCount(report.collections)});
  table.AddRow({"points", FormatCount(report.points)});
  table.AddRow({"records read", FormatCount(report.records)});
  table.AddRow({"left over, no damage", FormatCount(report.leftover_records)});
  table.AddRow({"damages", FormatCount(report.damages)});
  context.out() << table.Render();
}

absl::Status RunFsck(Context& context, const FsckOptions& options) {
  ProgressBar progress(context.err(), context.columns());
  const auto report =
      CheckDataDirectory(options.data_dir, [&](std::string_view what, uint64_t records) {
        progress.Update(absl::StrCat("fsck: ", std::string(what)), " records", records, 0);
      });
  progress.Finish();
  if (absl::IsNotFound(report.status())) return InputFileError(report.status());
  RETURN_IF_ERROR(report.status());
  PrintReport(context, options, *report);
  return report->ok() ? absl::OkStatus() : DamageFound();
}

}  // namespace

void AddFsckCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<FsckOptions>();
  CLI::App* fsck = AddCommand(app, "fsck", "Check a data directory that no server has open",
                              "  tessera fsck /var/lib/tessera\n"
                              "  tessera fsck /var/lib/tessera --output json");
  fsck->add_option("data_dir", options->data_dir, "The server's --data_dir")->required();
  Select(fsck, selected, options, RunFsck);
}

}  // namespace tessera::cli
