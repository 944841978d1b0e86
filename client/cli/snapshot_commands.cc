// tessera snapshot create|list|get|verify|restore|delete
#include <memory>
#include <utility>
#include <vector>

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

struct SnapshotOptions {
  std::string id, collection;
  bool replace = false;
  bool wait = false;
};

// What create, verify and restore end with: the operation they started, or how it ended.
absl::Status FollowOrPrint(Context& context, const v1::Operation& operation, bool wait) {
  if (wait) return WatchAndPrint(context, operation.operation_id());
  PrintOperation(context, operation);
  if (!context.json()) {
    context.err() << "it goes on in the server; to follow it: tessera operation watch "
                  << operation.operation_id() << "\n";
  }
  return absl::OkStatus();
}

absl::Status RunCreate(Context& context, const SnapshotOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation,
                   context.client().CreateSnapshot(options.collection));
  return FollowOrPrint(context, operation, options.wait);
}

absl::Status RunVerify(Context& context, const SnapshotOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().VerifySnapshot(options.id));
  return FollowOrPrint(context, operation, options.wait);
}

absl::Status RunRestore(Context& context, const SnapshotOptions& options) {
  v1::RestoreSnapshotRequest request;
  request.set_snapshot_id(options.id);
  request.set_collection_name(options.collection);
  request.set_replace(options.replace);
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().RestoreSnapshot(request));
  return FollowOrPrint(context, operation, options.wait);
}

absl::Status RunList(Context& context, const SnapshotOptions& options) {
  Json documents = Json::array();
  Table table({{"SNAPSHOT"},
               {"COLLECTION"},
               {"POINTS", Align::kRight},
               {"SEQUENCE", Align::kRight},
               {"SIZE", Align::kRight},
               {"CREATED"},
               {"DAMAGE"}});
  v1::ListSnapshotsRequest request;
  request.set_page_size(1000);
  do {
    ASSIGN_OR_RETURN(const v1::ListSnapshotsResponse page, context.client().ListSnapshots(request));
    for (const v1::Snapshot& s : page.snapshots()) {
      if (!options.collection.empty() && s.collection_name() != options.collection) continue;
      documents.push_back(ToJson(s));
      table.AddRow({s.snapshot_id(), s.collection_name(), FormatCount(s.points()),
                    std::to_string(s.sequence()), FormatBytes(s.size_bytes()),
                    s.has_create_time() ? ToText(s.create_time()) : "", Printable(s.damage())});
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json()) {
    context.PrintJson(Json{{"snapshots", documents}});
  } else {
    context.out() << table.Render();
  }
  return absl::OkStatus();
}

absl::Status RunGet(Context& context, const SnapshotOptions& options) {
  ASSIGN_OR_RETURN(const v1::Snapshot snapshot, context.client().GetSnapshot(options.id));
  if (context.json()) {
    context.PrintJson(ToJson(snapshot));
    return absl::OkStatus();
  }
  const std::vector<std::pair<const char*, std::string>> lines = {
      {"snapshot", snapshot.snapshot_id()},
      {"collection", snapshot.collection_name()},
      {"points", FormatCount(snapshot.points())},
      {"sequence", std::to_string(snapshot.sequence())},
      {"dimension", std::to_string(snapshot.dimension())},
      {"metric", v1::Metric_Name(snapshot.metric())},
      {"element type", v1::ElementType_Name(snapshot.element_type())},
      {"files", FormatCount(snapshot.files())},
      {"size", FormatBytes(snapshot.size_bytes())},
      {"created", ToText(snapshot.create_time())},
      {"created by", absl::StrCat("tesserad ", snapshot.creator_version(), ", format ",
                                  snapshot.format_version())}};
  Table table({{"FIELD"}, {"VALUE"}});
  for (const auto& [field, value] : lines) table.AddRow({field, value});
  context.out() << table.Render();
  return absl::OkStatus();
}

absl::Status RunDelete(Context& context, const SnapshotOptions& options) {
  RETURN_IF_ERROR(context.client().DeleteSnapshot(options.id));
  if (context.json()) {
    context.PrintJson(Json{{"snapshot_id", options.id}, {"deleted", true}});
  } else {
    context.out() << "snapshot " << options.id << " deleted\n";
  }
  return absl::OkStatus();
}

// A command whose first argument is the id of a snapshot.
template <typename Run>
std::pair<CLI::App*, std::shared_ptr<SnapshotOptions>> AddWithId(CLI::App& group, Command& selected,
                                                                 const char* name,
                                                                 const char* description,
                                                                 const char* examples, Run run) {
  auto options = std::make_shared<SnapshotOptions>();
  CLI::App* command = AddCommand(group, name, description, examples);
  command->add_option("id", options->id, "Id of the snapshot, as list shows it")->required();
  Select(command, selected, options, run);
  return {command, options};
}

void AddWait(CLI::App* command, SnapshotOptions& options) {
  command->add_flag("--wait", options.wait, "Show progress and return when it has ended");
}

}  // namespace

void AddSnapshotCommands(CLI::App& app, Command& selected) {
  CLI::App* group =
      app.add_subcommand("snapshot", "Make, list, verify, restore and delete snapshots");
  group->require_subcommand(1);

  auto create_options = std::make_shared<SnapshotOptions>();
  CLI::App* create = AddCommand(*group, "create", "Make a snapshot of a collection",
                                "  tessera snapshot create words --wait");
  create->add_option("collection", create_options->collection, "Collection to copy")->required();
  AddWait(create, *create_options);
  Select(create, selected, create_options, RunCreate);

  auto list_options = std::make_shared<SnapshotOptions>();
  CLI::App* list = AddCommand(*group, "list", "List the snapshots, oldest first",
                              "  tessera snapshot list --collection words");
  list->add_option("--collection", list_options->collection, "Only those of this collection");
  Select(list, selected, list_options, RunList);

  AddWithId(*group, selected, "get", "Show one snapshot",
            "  tessera snapshot get 20260131-120000-123-0a1b", RunGet);
  const auto [verify, verify_options] =
      AddWithId(*group, selected, "verify", "Read all files and records of a snapshot",
                "  tessera snapshot verify 20260131-120000-123-0a1b --wait", RunVerify);
  AddWait(verify, *verify_options);
  const auto [restore, restore_options] =
      AddWithId(*group, selected, "restore", "Make a collection of a snapshot",
                "  tessera snapshot restore 20260131-120000-123-0a1b --as words-before --wait\n"
                "  tessera snapshot restore 20260131-120000-123-0a1b --replace --wait",
                RunRestore);
  restore->add_option("--as", restore_options->collection,
                      "Name of the collection to make; default: the one that it had");
  restore->add_flag("--replace", restore_options->replace,
                    "Replace the collection of that name, once the restored one is whole");
  AddWait(restore, *restore_options);
  AddWithId(*group, selected, "delete", "Delete a snapshot",
            "  tessera snapshot delete 20260131-120000-123-0a1b", RunDelete);
}

}  // namespace tessera::cli
