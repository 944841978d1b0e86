// tessera alias set|delete|list
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"
#include "client/cli/messages.h"
#include "client/cli/table.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct AliasOptions {
  std::string alias, collection;
};

absl::Status RunUpdate(Context& context, const AliasOptions& options) {
  v1::UpdateAliasesRequest request;
  v1::Alias* action = request.add_actions();
  action->set_alias_name(options.alias);
  action->set_collection_name(options.collection);
  RETURN_IF_ERROR(context.client().UpdateAliases(request));
  if (context.json()) {
    context.PrintJson(Json{{"alias_name", options.alias}, {"collection_name", options.collection}});
  } else {
    context.out() << "alias " << options.alias
                  << (options.collection.empty() ? " deleted" : " is " + options.collection)
                  << "\n";
  }
  return absl::OkStatus();
}

absl::Status RunList(Context& context, const AliasOptions& options) {
  Json aliases = Json::array();
  Table table({{"ALIAS"}, {"COLLECTION"}});
  std::string page_token;
  do {
    ASSIGN_OR_RETURN(const v1::ListAliasesResponse page,
                     context.client().ListAliases(options.collection, page_token));
    for (const v1::Alias& alias : page.aliases()) {
      aliases.push_back(
          {{"alias_name", alias.alias_name()}, {"collection_name", alias.collection_name()}});
      table.AddRow({alias.alias_name(), alias.collection_name()});
    }
    page_token = page.next_page_token();
  } while (!page_token.empty());
  if (context.json()) {
    context.PrintJson(Json{{"aliases", aliases}});
  } else {
    context.out() << table.Render();
  }
  return absl::OkStatus();
}

}  // namespace

void AddAliasCommands(CLI::App& app, Command& selected) {
  CLI::App* group = app.add_subcommand("alias", "Give collections other names");
  group->require_subcommand(1);

  auto set_options = std::make_shared<AliasOptions>();
  CLI::App* set = AddCommand(*group, "set", "Make a name stand for a collection, at one moment",
                             "  tessera alias set live words-2");
  set->add_option("alias", set_options->alias, "The other name")->required();
  set->add_option("collection", set_options->collection, "Collection")->required();
  Select(set, selected, set_options, RunUpdate);

  auto delete_options = std::make_shared<AliasOptions>();
  CLI::App* remove = AddCommand(*group, "delete", "Delete an alias; its collection stays",
                                "  tessera alias delete live");
  remove->add_option("alias", delete_options->alias, "The other name")->required();
  Select(remove, selected, delete_options, RunUpdate);

  auto list_options = std::make_shared<AliasOptions>();
  CLI::App* list = AddCommand(*group, "list", "List aliases", "  tessera alias list words");
  list->add_option("collection", list_options->collection, "Of this collection; default: of all");
  Select(list, selected, list_options, RunList);
}

}  // namespace tessera::cli
