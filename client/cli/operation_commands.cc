// tessera operation list|get|watch|cancel
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/operation_output.h"
#include "client/cli/table.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct OperationOptions {
  std::string id, collection;
};

absl::Status RunList(Context& context, const OperationOptions& options) {
  Json operations = Json::array();
  Table table({{"OPERATION"},
               {"KIND"},
               {"COLLECTION"},
               {"STATE"},
               {"PHASE"},
               {"PROGRESS", Align::kRight},
               {"STARTED"}});
  std::string page_token;
  do {
    ASSIGN_OR_RETURN(const v1::ListOperationsResponse page,
                     context.client().ListOperations(options.collection, page_token));
    for (const v1::Operation& o : page.operations()) {
      operations.push_back(ToJson(o));
      table.AddRow({o.operation_id(), o.kind(), o.collection_name(),
                    v1::OperationState_Name(o.state()), o.phase(),
                    o.state() == v1::RUNNING
                        ? absl::StrCat(FormatCount(o.done()), " / ", FormatCount(o.total()))
                        : "",
                    ToText(o.start_time())});
    }
    page_token = page.next_page_token();
  } while (!page_token.empty());
  if (context.json()) {
    context.PrintJson(Json{{"operations", operations}});
  } else {
    context.out() << table.Render();
  }
  return absl::OkStatus();
}

absl::Status RunGet(Context& context, const OperationOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().GetOperation(options.id));
  PrintOperation(context, operation);
  return absl::OkStatus();
}

absl::Status RunWatch(Context& context, const OperationOptions& options) {
  return WatchAndPrint(context, options.id);
}

absl::Status RunCancel(Context& context, const OperationOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().CancelOperation(options.id));
  PrintOperation(context, operation);
  return absl::OkStatus();
}

}  // namespace

void AddOperationCommands(CLI::App& app, Command& selected) {
  CLI::App* group = app.add_subcommand("operation", "Follow and cancel long work");
  group->require_subcommand(1);

  auto list_options = std::make_shared<OperationOptions>();
  CLI::App* list = AddCommand(*group, "list", "List operations, newest first",
                              "  tessera operation list --collection words");
  list->add_option("--collection", list_options->collection, "Only those of this collection");
  Select(list, selected, list_options, RunList);

  const auto add = [&](const char* name, const char* description, auto run) {
    auto options = std::make_shared<OperationOptions>();
    CLI::App* command =
        AddCommand(*group, name, description, absl::StrCat("  tessera operation ", name, " ID"));
    command->add_option("id", options->id, "Id of the operation")->required();
    Select(command, selected, options, run);
  };
  add("get", "Show one operation", RunGet);
  add("watch", "Follow an operation until it has ended", RunWatch);
  add("cancel", "Ask an operation to stop", RunCancel);
}

}  // namespace tessera::cli
