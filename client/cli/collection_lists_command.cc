// tessera collection lists
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "client/cli/collection_commands.h"
#include "client/cli/commands.h"
#include "client/cli/format.h"
#include "client/cli/number_option.h"
#include "client/cli/table.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct ListsOptions {
  std::string name, page_token;
  uint32_t page_size = 20;
  bool all = false;
};

// All but the lists themselves.
Json Summary(const v1::GetListStatisticsResponse& statistics) {
  return Json{{"codebook_version", statistics.codebook_version()},
              {"nlist", statistics.nlist()},
              {"points", statistics.points()},
              {"dead_entries", statistics.dead_entries()},
              {"points_min", statistics.points_min()},
              {"points_median", statistics.points_median()},
              {"points_max", statistics.points_max()},
              {"empty_lists", statistics.empty_lists()},
              {"imbalance", statistics.imbalance()}};
}

std::string SummaryText(const v1::GetListStatisticsResponse& statistics) {
  return absl::StrFormat(
      "%s points in %s lists of codebook %d: %s to %s each, median %s, %s empty; imbalance %.2f; "
      "%s dead entries\n",
      FormatCount(statistics.points()), FormatCount(statistics.nlist()),
      statistics.codebook_version(), FormatCount(statistics.points_min()),
      FormatCount(statistics.points_max()), FormatCount(statistics.points_median()),
      FormatCount(statistics.empty_lists()), statistics.imbalance(),
      FormatCount(statistics.dead_entries()));
}

absl::Status RunLists(Context& context, const ListsOptions& options) {
  v1::GetListStatisticsRequest request;
  request.set_collection_name(options.name);
  request.set_page_size(options.all ? limits::kPageSizeMax : options.page_size);
  request.set_page_token(options.page_token);
  Json lists = Json::array();
  Table table({{"LIST", Align::kRight}, {"POINTS", Align::kRight}, {"DEAD", Align::kRight}});
  v1::GetListStatisticsResponse page;
  do {
    ASSIGN_OR_RETURN(page, context.client().GetListStatistics(request));
    for (const v1::InvertedList& list : page.lists()) {
      lists.push_back({{"list", list.list()},
                       {"points", list.points()},
                       {"dead_entries", list.dead_entries()}});
      table.AddRow({std::to_string(list.list()), FormatCount(list.points()),
                    FormatCount(list.dead_entries())});
    }
    request.set_page_token(page.next_page_token());
  } while (options.all && !request.page_token().empty());
  if (context.json()) {
    Json document = Summary(page);
    document["lists"] = lists;
    document["next_page_token"] = request.page_token();
    context.PrintJson(document);
    return absl::OkStatus();
  }
  context.out() << SummaryText(page) << table.Render();
  if (!request.page_token().empty()) {
    context.err() << "next page: --page-token " << request.page_token() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddCollectionLists(CLI::App& group, Command& selected) {
  auto options = std::make_shared<ListsOptions>();
  CLI::App* lists = AddCommand(group, "lists", "Show how full the inverted lists are",
                               "  tessera collection lists words");
  lists->add_option("name", options->name, "Name of the collection")->required();
  AddNumber(lists, "--page-size", options->page_size, "Lists a page", 1, limits::kPageSizeMax)
      ->capture_default_str();
  lists->add_option("--page-token", options->page_token, "From the page before");
  lists->add_flag("--all", options->all, "Go on to the last page");
  Select(lists, selected, options, RunLists);
}

}  // namespace tessera::cli
