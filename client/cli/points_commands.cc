// tessera points get|delete|count|scroll
#include <algorithm>
#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/filter_expression.h"
#include "client/cli/filter_option.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/number_option.h"
#include "client/cli/table.h"
#include "client/cli/write_flags.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr size_t kPayloadColumns = 100;
constexpr size_t kVectorColumns = 60;

struct PointsOptions {
  std::string collection, page_token, filter, order_by, start_from;
  std::vector<uint64_t> ids;
  std::vector<std::string> string_ids;
  bool no_payload = false, with_vectors = false, all = false;
  bool estimate = false, descending = false;
  uint32_t page_size = 20;
  WriteFlags write;
};

v1::PointIds MakeIds(const PointsOptions& options) {
  v1::PointIds ids;
  ids.mutable_num()->Add(options.ids.begin(), options.ids.end());
  for (const std::string& id : options.string_ids) ids.add_str(id);
  return ids;
}

Table MakeTable(const PointsOptions& options) {
  std::vector<Table::Column> columns = {{"ID", Align::kRight}};
  if (!options.no_payload) columns.push_back({"PAYLOAD", Align::kLeft, kPayloadColumns});
  if (options.with_vectors) columns.push_back({"VECTOR", Align::kLeft, kVectorColumns});
  return Table(std::move(columns));
}

void AddPoint(const PointsOptions& options, const v1::Point& point, Table& table) {
  std::vector<std::string> cells = {ToText(point.id())};
  if (!options.no_payload) cells.push_back(point.payload());
  if (options.with_vectors) cells.push_back(ToJson(point.vector()).dump());
  table.AddRow(std::move(cells));
}

absl::Status RunGet(Context& context, const PointsOptions& options) {
  if (options.ids.empty() == options.string_ids.empty()) {
    return UsageError("points are named by --id or by --id-str, one of the two");
  }
  v1::GetPointsRequest request;
  request.set_collection_name(options.collection);
  *request.mutable_ids() = MakeIds(options);
  request.mutable_with_payload()->set_enable(!options.no_payload);
  request.set_with_vectors(options.with_vectors);
  ASSIGN_OR_RETURN(const v1::GetPointsResponse response, context.client().GetPoints(request));
  const size_t asked = options.ids.size() + options.string_ids.size();
  const size_t missing = asked - std::min(asked, static_cast<size_t>(response.points_size()));
  if (response.points().empty()) return absl::NotFoundError("no such point");
  if (context.json()) {
    Json points = Json::array();
    for (const v1::Point& point : response.points()) points.push_back(ToJson(point));
    context.PrintJson(Json{{"points", points}, {"missing", missing}});
    return absl::OkStatus();
  }
  Table table = MakeTable(options);
  for (const v1::Point& point : response.points()) AddPoint(options, point, table);
  context.out() << table.Render();
  if (missing > 0) context.err() << missing << " of the points do not exist\n";
  return absl::OkStatus();
}

absl::Status RunDelete(Context& context, const PointsOptions& options) {
  if (!options.ids.empty() + !options.string_ids.empty() + !options.filter.empty() != 1) {
    return UsageError("points are named by --id, by --id-str or by --filter, one of the three");
  }
  v1::DeletePointsResponse response;
  if (options.filter.empty()) {
    v1::DeletePointsRequest request;
    request.set_collection_name(options.collection);
    *request.mutable_ids() = MakeIds(options);
    request.set_durability(options.write.durability());
    request.set_request_id(options.write.request_id);
    ASSIGN_OR_RETURN(response, context.client().DeletePoints(request));
  } else {
    v1::DeleteByFilterRequest request;
    request.set_collection_name(options.collection);
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
    request.set_durability(options.write.durability());
    request.set_request_id(options.write.request_id);
    ASSIGN_OR_RETURN(response, context.client().DeleteByFilter(request));
  }
  if (context.json()) {
    context.PrintJson(Json{{"points", response.points()}, {"sequence", response.sequence()}});
  } else {
    context.out() << FormatCount(response.points()) << " points deleted\n";
  }
  return absl::OkStatus();
}

absl::Status RunCount(Context& context, const PointsOptions& options) {
  v1::CountRequest request;
  request.set_collection_name(options.collection);
  if (!options.filter.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
  }
  if (options.estimate) request.set_exact(false);
  ASSIGN_OR_RETURN(const v1::CountResponse count, context.client().CountPoints(request));
  if (context.json()) {
    context.PrintJson(Json{{"collection_name", options.collection},
                           {"points", count.points()},
                           {"exact", count.exact()},
                           {"points_min", count.points_min()},
                           {"points_max", count.points_max()}});
  } else if (count.exact()) {
    context.out() << count.points() << "\n";
  } else {
    context.out() << "about " << count.points() << ", between " << count.points_min() << " and "
                  << count.points_max() << "\n";
  }
  return absl::OkStatus();
}

// A number as it looks, anything else as text; quotes make text of what looks like a number. Not of
// an empty text.
v1::StartFrom ParseStartFrom(const std::string& text) {
  v1::StartFrom start;
  int64_t integer = 0;
  double number = 0;
  const bool is_word = absl::ascii_isalpha(text.front());  // "nan" and "inf" too
  if (absl::SimpleAtoi(text, &integer)) {
    start.set_integer(integer);
  } else if (!is_word && absl::SimpleAtod(text, &number)) {
    start.set_number(number);
  } else if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    start.set_text(text.substr(1, text.size() - 2));
  } else {
    start.set_text(text);
  }
  return start;
}

absl::Status SetOrder(const PointsOptions& options, v1::ScrollRequest* request) {
  if (options.order_by.empty()) {
    if (!options.descending && options.start_from.empty()) return absl::OkStatus();
    return UsageError("--descending and --start-from need --order-by");
  }
  v1::OrderBy& order = *request->mutable_order_by();
  order.set_key(options.order_by);
  order.set_direction(options.descending ? v1::DESCENDING : v1::ASCENDING);
  if (!options.start_from.empty()) *order.mutable_start_from() = ParseStartFrom(options.start_from);
  return absl::OkStatus();
}

absl::Status RunScroll(Context& context, const PointsOptions& options) {
  v1::ScrollRequest request;
  request.set_collection_name(options.collection);
  request.set_page_size(options.page_size);
  request.set_page_token(options.page_token);
  RETURN_IF_ERROR(SetOrder(options, &request));
  if (!options.filter.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
  }
  request.mutable_with_payload()->set_enable(!options.no_payload);
  request.set_with_vectors(options.with_vectors);
  Json points = Json::array();
  Table table = MakeTable(options);
  do {
    ASSIGN_OR_RETURN(const v1::ScrollResponse page, context.client().Scroll(request));
    for (const v1::Point& point : page.points()) {
      if (context.json()) {
        points.push_back(ToJson(point));
      } else {
        AddPoint(options, point, table);
      }
    }
    request.set_page_token(page.next_page_token());
  } while (options.all && !request.page_token().empty());
  if (context.json()) {
    context.PrintJson(Json{{"points", points}, {"next_page_token", request.page_token()}});
    return absl::OkStatus();
  }
  context.out() << table.Render();
  if (!request.page_token().empty()) {
    context.err() << "next page: --page-token " << request.page_token() << "\n";
  }
  return absl::OkStatus();
}

CLI::App* AddPoints(CLI::App& group, const std::string& name, const std::string& description,
                    const std::string& examples, PointsOptions& options) {
  CLI::App* command = AddCommand(group, name, description, examples);
  command->add_option("collection", options.collection, "Collection of the points")->required();
  return command;
}

void AddIdOptions(CLI::App* command, PointsOptions& options) {
  AddNumbers(command, "--id", options.ids, "Numbers of points, e.g. 7,8");
  command->add_option("--id-str", options.string_ids, "String id of a point; may be repeated")
      ->allow_extra_args(false);
}

void AddContentOptions(CLI::App* command, PointsOptions& options) {
  command->add_flag("--no-payload", options.no_payload, "Leave payloads out");
  command->add_flag("--with-vectors", options.with_vectors, "Show vectors");
}

}  // namespace

void AddPointsCommands(CLI::App& app, Command& selected) {
  CLI::App* group = app.add_subcommand("points", "Show, delete, count and list points");
  group->require_subcommand(1);

  auto get_options = std::make_shared<PointsOptions>();
  CLI::App* get = AddPoints(*group, "get", "Show points by their ids",
                            "  tessera points get words --id 7,8", *get_options);
  AddIdOptions(get, *get_options);
  AddContentOptions(get, *get_options);
  Select(get, selected, get_options, RunGet);

  auto delete_options = std::make_shared<PointsOptions>();
  CLI::App* remove = AddPoints(*group, "delete", "Delete points by their ids or by a filter",
                               "  tessera points delete words --id 7,8\n"
                               "  tessera points delete words --filter 'senses = 1'",
                               *delete_options);
  AddIdOptions(remove, *delete_options);
  AddFilterOption(remove, delete_options->filter);
  AddWriteFlags(remove, delete_options->write,
                "Deleting again with the same id and points does nothing");
  Select(remove, selected, delete_options, RunDelete);

  auto count_options = std::make_shared<PointsOptions>();
  CLI::App* count = AddPoints(*group, "count", "Count the points of a collection",
                              "  tessera points count words\n"
                              "  tessera points count words --filter 'senses > 2' --estimate",
                              *count_options);
  AddFilterOption(count, count_options->filter);
  count->add_flag("--estimate", count_options->estimate,
                  "Quickly: by payload indexes and, where they do not tell, a sample");
  Select(count, selected, count_options, RunCount);

  auto scroll_options = std::make_shared<PointsOptions>();
  CLI::App* scroll =
      AddPoints(*group, "scroll", "List points page by page, in the order of ids or of a field",
                "  tessera points scroll words --page-size 5\n"
                "  tessera points scroll words --order-by senses --descending",
                *scroll_options);
  AddNumber(scroll, "--page-size", scroll_options->page_size, "Points a page", 1,
            limits::kPageSizeMax)
      ->capture_default_str();
  scroll->add_option("--page-token", scroll_options->page_token, "From the page before");
  scroll->add_option("--order-by", scroll_options->order_by,
                     "A payload field that has an index: by its values, then by id");
  scroll->add_flag("--descending", scroll_options->descending, "The greatest value first");
  scroll->add_option(
      "--start-from", scroll_options->start_from,
      "The first value: a number, a string (in double quotes if it reads as a number), or a "
      "time, e.g. 2024-02-29");
  scroll->add_flag("--all", scroll_options->all, "Go on to the last page");
  AddFilterOption(scroll, scroll_options->filter);
  AddContentOptions(scroll, *scroll_options);
  Select(scroll, selected, scroll_options, RunScroll);
}

}  // namespace tessera::cli
