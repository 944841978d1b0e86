// tessera index create|drop, tessera facet
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"
#include "client/cli/filter_expression.h"
#include "client/cli/filter_option.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/number_option.h"
#include "client/cli/operation_output.h"
#include "client/cli/table.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct IndexOptions {
  std::string collection, key, type, filter, page_token;
  bool wait = false;
  bool all = false;
  uint32_t limit = 20;
};

v1::PayloadIndexType ParseType(const std::string& type) {
  if (type == "keyword") return v1::KEYWORD;
  if (type == "integer") return v1::INTEGER;
  if (type == "float") return v1::FLOAT;
  if (type == "datetime") return v1::DATETIME;
  return v1::BOOL;
}

absl::Status RunCreate(Context& context, const IndexOptions& options) {
  v1::CreatePayloadIndexRequest request;
  request.set_collection_name(options.collection);
  request.set_key(options.key);
  request.set_type(ParseType(options.type));
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().CreatePayloadIndex(request));
  if (options.wait) return WatchAndPrint(context, operation.operation_id());
  PrintOperation(context, operation);
  return absl::OkStatus();
}

absl::Status RunDrop(Context& context, const IndexOptions& options) {
  RETURN_IF_ERROR(context.client().DropPayloadIndex(options.collection, options.key));
  if (context.json()) {
    context.PrintJson(Json{{"collection_name", options.collection}, {"key", options.key}});
  } else {
    context.out() << "index of " << options.key << " dropped\n";
  }
  return absl::OkStatus();
}

absl::Status RunFacet(Context& context, const IndexOptions& options) {
  v1::FacetRequest request;
  request.set_collection_name(options.collection);
  request.set_key(options.key);
  request.set_limit(options.all ? limits::kPageSizeMax : options.limit);
  request.set_page_token(options.page_token);
  if (!options.filter.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
  }
  Json hits = Json::array();
  Table table({{"VALUE"}, {"POINTS", Align::kRight}});
  v1::FacetResponse page;
  do {
    ASSIGN_OR_RETURN(page, context.client().Facet(request));
    for (const v1::FacetHit& hit : page.hits()) {
      const v1::FacetValue& value = hit.value();
      const Json json = ToJson(value);
      hits.push_back({{"value", json}, {"points", hit.points()}});
      table.AddRow({value.has_str() ? value.str() : json.dump(), FormatCount(hit.points())});
    }
    request.set_page_token(page.next_page_token());
  } while (options.all && !request.page_token().empty());
  if (context.json()) {
    context.PrintJson(Json{{"key", options.key},
                           {"hits", hits},
                           {"indexed", page.indexed()},
                           {"next_page_token", request.page_token()}});
    return absl::OkStatus();
  }
  context.out() << table.Render();
  if (!request.page_token().empty()) {
    context.err() << "next page: --page-token " << request.page_token() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddIndexCommands(CLI::App& app, Command& selected) {
  CLI::App* group = app.add_subcommand("index", "Create and drop indexes of payload fields");
  group->require_subcommand(1);

  auto create_options = std::make_shared<IndexOptions>();
  CLI::App* create =
      AddCommand(*group, "create", "Index a field of the payload, so that filters on it are fast",
                 "  tessera index create words category --type keyword --wait\n"
                 "  tessera index create words author.born --type datetime");
  create->add_option("collection", create_options->collection, "Collection")->required();
  create->add_option("key", create_options->key, "Field, e.g. author.name")->required();
  create->add_option("--type", create_options->type, "keyword, integer, float, datetime or bool")
      ->required()
      ->check(CLI::IsMember({"keyword", "integer", "float", "datetime", "bool"}));
  create->add_flag("--wait", create_options->wait, "Show progress and return when it is built");
  Select(create, selected, create_options, RunCreate);

  auto drop_options = std::make_shared<IndexOptions>();
  CLI::App* drop = AddCommand(*group, "drop", "Drop the index of a field; filters still work",
                              "  tessera index drop words category");
  drop->add_option("collection", drop_options->collection, "Collection")->required();
  drop->add_option("key", drop_options->key, "Field")->required();
  Select(drop, selected, drop_options, RunDrop);

  auto facet_options = std::make_shared<IndexOptions>();
  CLI::App* facet = AddCommand(app, "facet", "Count the points that have each value of a field",
                               "  tessera facet words category --filter 'senses > 2'\n"
                               "  tessera facet words synonyms --limit 5\n"
                               "  tessera facet words word --all --output json");
  facet->add_option("collection", facet_options->collection, "Collection")->required();
  facet->add_option("key", facet_options->key, "Field")->required();
  AddFilterOption(facet, facet_options->filter);
  AddNumber(facet, "--limit", facet_options->limit, "Values a page, the most frequent first", 1,
            limits::kPageSizeMax)
      ->capture_default_str();
  facet->add_option("--page-token", facet_options->page_token, "From the page before");
  facet->add_flag("--all", facet_options->all, "Go on to the last page");
  Select(facet, selected, facet_options, RunFacet);
}

}  // namespace tessera::cli
