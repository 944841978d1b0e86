// tessera search COLLECTION
#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/filter_expression.h"
#include "client/cli/filter_option.h"
#include "client/cli/messages.h"
#include "client/cli/number_option.h"
#include "client/cli/query_source.h"
#include "client/cli/search_results.h"
#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr uint64_t kQueriesPerRequest = 100;
constexpr uint32_t kLimit = 10;
constexpr uint32_t kGroupSize = 3;
constexpr uint32_t kRangePage = 1'000;

struct SearchOptions {
  std::string collection, vector, queries, rows, filter, group_by;
  std::vector<uint64_t> ids, positive, negative;
  std::vector<std::string> string_ids, positive_strings, negative_strings, fields;
  std::optional<uint32_t> limit, group_size;
  uint32_t offset = 0, nprobe = 0, rerank = 0;
  std::optional<float> score_threshold, radius;
  std::optional<double> recall;
  bool exact = false, no_rerank = false, with_payload = false, with_vectors = false;
  bool explain = false, bounds = false;
};

v1::PayloadSelector MakeSelector(const SearchOptions& options) {
  v1::PayloadSelector selector;
  selector.set_enable(options.with_payload || !options.fields.empty());
  if (options.with_payload) return selector;
  for (const std::string& field : options.fields) selector.add_include(field);
  return selector;
}

absl::StatusOr<v1::SearchRequest> MakeRequest(const SearchOptions& options) {
  v1::SearchRequest request;
  request.set_collection_name(options.collection);
  request.set_limit(options.limit.value_or(kLimit));
  v1::SearchParams& params = *request.mutable_params();
  params.set_nprobe(options.nprobe);
  params.set_exact(options.exact);
  params.set_rerank(options.rerank);
  params.set_no_rerank(options.no_rerank);
  if (options.recall.has_value()) params.set_target_recall(*options.recall);
  *request.mutable_with_payload() = MakeSelector(options);
  request.set_with_vectors(options.with_vectors);
  request.set_offset(options.offset);
  if (options.score_threshold.has_value()) request.set_score_threshold(*options.score_threshold);
  request.set_explain(options.explain);
  request.set_with_bounds(options.bounds);
  if (!options.filter.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
  }
  return request;
}

// A server that answers with another number of results than queries is not to be trusted.
absl::StatusOr<v1::SearchResponse> SearchAll(Context& context, const v1::SearchRequest& request,
                                             uint64_t queries) {
  ASSIGN_OR_RETURN(v1::SearchResponse response, context.client().Search(request));
  if (static_cast<uint64_t>(response.results_size()) != queries) {
    return absl::InternalError(absl::StrCat("the server answered ", queries, " queries with ",
                                            response.results_size(), " results"));
  }
  return response;
}

absl::Status SearchVectors(Context& context, const SearchOptions& options, const QuerySet& queries,
                           Results& results) {
  const bool from_file = !options.queries.empty();
  ASSIGN_OR_RETURN(v1::SearchRequest request, MakeRequest(options));
  // What a request may ask for at all bounds how many queries go into one.
  const uint64_t batch = std::clamp<uint64_t>(
      limits::kSearchResultsMax / std::max<uint32_t>(request.limit(), 1), 1, kQueriesPerRequest);
  for (uint64_t begin = 0; begin < queries.rows; begin += batch) {
    const uint64_t count = std::min(batch, queries.rows - begin);
    *request.mutable_vectors() = queries.Slice(begin, count);
    ASSIGN_OR_RETURN(const v1::SearchResponse response, SearchAll(context, request, count));
    results.Explain(response);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t row = queries.first_row + begin + i;
      results.Add(from_file ? absl::StrCat("query row ", row, ":") : "query vector:",
                  from_file ? Json{{"row", row}} : Json{{"vector", options.vector}},
                  response.results(static_cast<int>(i)));
    }
  }
  return absl::OkStatus();
}

absl::Status SearchIds(Context& context, const SearchOptions& options, Results& results) {
  ASSIGN_OR_RETURN(v1::SearchRequest request, MakeRequest(options));
  std::vector<v1::PointId> ids;
  for (const uint64_t id : options.ids) {
    ids.push_back(MakePointId(id));
    request.mutable_ids()->add_num(id);
  }
  for (const std::string& id : options.string_ids) {
    ids.push_back(MakePointId(id));
    request.mutable_ids()->add_str(id);
  }
  ASSIGN_OR_RETURN(const v1::SearchResponse response, SearchAll(context, request, ids.size()));
  results.Explain(response);
  for (size_t i = 0; i < ids.size(); ++i) {
    results.Add(absl::StrCat("neighbours of ", ToText(ids[i]), ":"), Json{{"id", ToJson(ids[i])}},
                response.results(static_cast<int>(i)));
  }
  return absl::OkStatus();
}

bool Recommends(const SearchOptions& options) {
  return !options.positive.empty() || !options.positive_strings.empty() ||
         !options.negative.empty() || !options.negative_strings.empty();
}

void SetExamples(const SearchOptions& options, v1::Recommend* examples) {
  for (uint64_t id : options.positive) examples->mutable_positive()->add_num(id);
  for (const std::string& id : options.positive_strings) examples->mutable_positive()->add_str(id);
  for (uint64_t id : options.negative) examples->mutable_negative()->add_num(id);
  for (const std::string& id : options.negative_strings) examples->mutable_negative()->add_str(id);
}

absl::Status SearchByExamples(Context& context, const SearchOptions& options, Results& results) {
  ASSIGN_OR_RETURN(v1::SearchRequest request, MakeRequest(options));
  SetExamples(options, request.mutable_recommend());
  ASSIGN_OR_RETURN(const v1::SearchResponse response, SearchAll(context, request, 1));
  results.Explain(response);
  results.Add("like the examples:", Json{{"recommend", true}}, response.results(0));
  return absl::OkStatus();
}

// The nearest points of each value of a field, the values with the nearest first.
absl::Status SearchGroups(Context& context, const SearchOptions& options, Results& results) {
  if (!options.queries.empty() || options.ids.size() + options.string_ids.size() > 1 ||
      options.radius.has_value()) {
    return UsageError(
        "--group-by goes with one query: --vector, one --id or --id-str, or --positive; and not "
        "with --radius");
  }
  v1::SearchGroupsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_search(), MakeRequest(options));
  v1::SearchRequest& search = *request.mutable_search();
  if (!options.vector.empty()) {
    ASSIGN_OR_RETURN(const QuerySet query, ParseVector(options.vector));
    *search.mutable_vectors() = query.Slice(0, 1);
  }
  for (uint64_t id : options.ids) search.mutable_ids()->add_num(id);
  for (const std::string& id : options.string_ids) search.mutable_ids()->add_str(id);
  if (Recommends(options)) SetExamples(options, search.mutable_recommend());
  request.set_group_by(options.group_by);
  request.set_group_size(options.group_size.value_or(kGroupSize));
  ASSIGN_OR_RETURN(const v1::SearchGroupsResponse response, context.client().SearchGroups(request));
  v1::SearchResponse explained;
  explained.set_plan(response.plan());
  explained.set_exhausted(response.exhausted());
  explained.set_filter_selectivity(response.filter_selectivity());
  if (response.has_explanation()) *explained.mutable_explanation() = response.explanation();
  results.Explain(explained);
  for (const v1::PointGroup& group : response.groups()) {
    v1::SearchResult hits;
    *hits.mutable_hits() = group.hits();
    const Json value = ToJson(group.value());
    results.Add(absl::StrCat(options.group_by, " = ", value.dump(), ":"), Json{{"group", value}},
                hits);
  }
  return absl::OkStatus();
}

// Every point within the radius of one query, page by page, or as many as the limit says.
absl::Status SearchRange(Context& context, const SearchOptions& options,
                         v1::SearchRangeRequest request, const std::string& title,
                         const Json& query, Results& results) {
  request.set_collection_name(options.collection);
  request.set_radius(*options.radius);
  *request.mutable_with_payload() = MakeSelector(options);
  request.set_with_vectors(options.with_vectors);
  request.set_explain(options.explain);
  if (!options.filter.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
  }
  v1::SearchResult all;
  uint64_t left = options.limit.value_or(std::numeric_limits<uint32_t>::max());
  do {
    request.set_page_size(static_cast<uint32_t>(std::min<uint64_t>(left, kRangePage)));
    ASSIGN_OR_RETURN(v1::SearchRangeResponse page, context.client().SearchRange(request));
    left -= std::min<uint64_t>(left, static_cast<uint64_t>(page.hits_size()));
    for (v1::ScoredPoint& hit : *page.mutable_hits()) *all.add_hits() = std::move(hit);
    request.set_page_token(page.next_page_token());
    v1::SearchResponse explained;
    explained.set_plan(page.plan());
    explained.set_exhausted(page.next_page_token().empty());
    if (page.has_explanation()) *explained.mutable_explanation() = page.explanation();
    results.Explain(explained);
  } while (!request.page_token().empty() && left > 0);
  results.Add(title, query, all);
  return absl::OkStatus();
}

absl::Status SearchRanges(Context& context, const SearchOptions& options, Results& results) {
  if (!options.queries.empty() || Recommends(options) || options.offset > 0 || options.exact ||
      options.no_rerank || options.score_threshold.has_value() || options.bounds ||
      options.recall.has_value() || options.nprobe > 0 || options.rerank > 0) {
    return UsageError(
        "--radius goes with one of --vector, --id and --id-str, and finds every point within it: "
        "there is nothing to say with --offset, --exact, --no-rerank, --score-threshold, --bounds, "
        "--recall, --nprobe, --rerank");
  }
  if (!options.vector.empty()) {
    ASSIGN_OR_RETURN(const QuerySet query, ParseVector(options.vector));
    v1::SearchRangeRequest request;
    *request.mutable_vector() = query.Slice(0, 1);
    return SearchRange(context, options, request, "query vector:", Json{{"vector", options.vector}},
                       results);
  }
  std::vector<v1::PointId> ids;
  for (const uint64_t id : options.ids) ids.push_back(MakePointId(id));
  for (const std::string& id : options.string_ids) ids.push_back(MakePointId(id));
  for (const v1::PointId& id : ids) {
    v1::SearchRangeRequest request;
    *request.mutable_id() = id;
    RETURN_IF_ERROR(SearchRange(context, options, request,
                                absl::StrCat("neighbours of ", ToText(id), ":"),
                                Json{{"id", ToJson(id)}}, results));
  }
  return absl::OkStatus();
}

// The server would take a vector that is too long for several queries.
absl::Status CheckVector(Context& context, const SearchOptions& options, const QuerySet& query) {
  ASSIGN_OR_RETURN(const v1::Collection collection,
                   context.client().GetCollection(options.collection));
  if (query.dimension == collection.dimension()) return absl::OkStatus();
  return UsageError(absl::StrCat("--vector: has ", query.dimension, " components; collection ",
                                 options.collection, " has dimension ", collection.dimension()));
}

absl::Status RunSearch(Context& context, const SearchOptions& options) {
  const int sources = !options.vector.empty() + !options.queries.empty() + !options.ids.empty() +
                      !options.string_ids.empty() + Recommends(options);
  if (sources != 1) {
    return UsageError(
        "search needs exactly one of --vector, --queries, --id, --id-str, and --positive with "
        "--negative");
  }
  if (options.group_size.has_value() && options.group_by.empty()) {
    return UsageError("--group-size goes with --group-by");
  }
  if (!options.rows.empty() && options.queries.empty()) {
    return UsageError("--rows goes with --queries");
  }
  Results results(context, options.collection,
                  {.fields = options.fields,
                   .payload = options.with_payload,
                   .vectors = options.with_vectors,
                   .bounds = options.bounds,
                   .certain = options.radius.has_value()});
  if (!options.group_by.empty()) {
    RETURN_IF_ERROR(SearchGroups(context, options, results));
  } else if (options.radius.has_value()) {
    RETURN_IF_ERROR(SearchRanges(context, options, results));
  } else if (Recommends(options)) {
    RETURN_IF_ERROR(SearchByExamples(context, options, results));
  } else if (!options.vector.empty()) {
    ASSIGN_OR_RETURN(const QuerySet queries, ParseVector(options.vector));
    RETURN_IF_ERROR(CheckVector(context, options, queries));
    RETURN_IF_ERROR(SearchVectors(context, options, queries, results));
  } else if (!options.queries.empty()) {
    RowRange range;
    if (!options.rows.empty()) {
      ASSIGN_OR_RETURN(range, ParseRowRange(options.rows));
    }
    ASSIGN_OR_RETURN(const QuerySet queries, ReadQueries(options.queries, range));
    ASSIGN_OR_RETURN(const v1::Collection collection,
                     context.client().GetCollection(options.collection));
    RETURN_IF_ERROR(CheckDimension(options.queries, queries.dimension, collection));
    RETURN_IF_ERROR(SearchVectors(context, options, queries, results));
  } else {
    RETURN_IF_ERROR(SearchIds(context, options, results));
  }
  results.Finish();
  return absl::OkStatus();
}

void AddExamples(CLI::App* search, SearchOptions& options) {
  const auto strings = [&](const char* name, std::vector<std::string>& ids, const char* what) {
    search->add_option(name, ids, what)->allow_extra_args(false);
  };
  AddNumbers(search, "--positive", options.positive, "Stored points to be near to, e.g. 7,8");
  strings("--positive-str", options.positive_strings, "The same by string id; may be repeated");
  AddNumbers(search, "--negative", options.negative, "Stored points to be far from");
  strings("--negative-str", options.negative_strings, "The same by string id; may be repeated");
}

}  // namespace

void AddSearchCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<SearchOptions>();
  CLI::App* search = AddCommand(
      app, "search", "Find nearest neighbours by vector, by stored point or from a file",
      "  tessera search words --id 7 --fields word,category,gloss\n"
      "  tessera search words --id 7 --filter 'category = \"animal\" and senses > 2' --explain\n"
      "  tessera search words --vector 0.1,-0.2,0.3 --limit 5 --exact\n"
      "  tessera search words --positive 7,8 --negative 9\n"
      "  tessera search words --id 7 --group-by category --group-size 3\n"
      "  tessera search words --id 7 --radius 0.8\n"
      "  tessera search words --queries queries.npy --rows 0:5 --with-payload --output json\n\n"
      "A score marked ~ comes from a point's code alone and is approximate; --bounds shows\n"
      "between what the exact one lies. With --radius, a hit told by its code was certain before\n"
      "its vector was looked at.");
  search->add_option("collection", options->collection, "Collection to search")->required();
  search->add_option("--vector", options->vector, "Query vector, e.g. 0.1,-0.2,0.3");
  search->add_option("--queries", options->queries, "File of query vectors");
  search->add_option("--rows", options->rows, "Rows of the file, e.g. 0:10, 5: or 7");
  AddNumbers(search, "--id", options->ids, "Numbers of stored points, e.g. 7,8");
  search
      ->add_option("--id-str", options->string_ids, "String id of a stored point; may be repeated")
      ->allow_extra_args(false);
  AddExamples(search, *options);
  AddNumber(search, "--limit", options->limit,
            "Neighbours of each query; default: 10, and all with --radius", /*min=*/1);
  search->add_option("--group-by", options->group_by,
                     "The nearest of each value of a field; --limit is of values");
  AddNumber(search, "--group-size", options->group_size, "Neighbours of each value; default: 3");
  AddNumber(search, "--offset", options->offset, "Neighbours to leave out from the front");
  search->add_option("--score-threshold", options->score_threshold,
                     "Only neighbours at least as near as this score");
  search->add_option("--radius", options->radius,
                     "Every point with at most this squared distance (metric l2), or with at least "
                     "this product or cosine");
  search->add_flag("--bounds", options->bounds, "Show between what each exact score lies");
  AddFilterOption(search, options->filter);
  search->add_flag("--explain", options->explain, "Show how the search was done");
  search->add_option("--recall", options->recall,
                     "The share of the true neighbours to find on average, e.g. 0.95: the server "
                     "chooses how many lists and candidates that takes");
  AddNumber(search, "--nprobe", options->nprobe,
            "Inverted lists to search, on average; default: the server's");
  search->add_flag("--exact", options->exact, "Compare with every vector");
  AddNumber(search, "--rerank", options->rerank,
            "Candidates whose full vectors are compared; default: the server's");
  search->add_flag("--no-rerank", options->no_rerank, "Score by the codes alone");
  search->add_flag("--with-payload", options->with_payload, "Show payloads");
  search->add_option("--fields", options->fields, "Members of the payload to show as columns")
      ->delimiter(',')
      ->allow_extra_args(false);
  search->add_flag("--with-vectors", options->with_vectors, "Show vectors");
  Select(search, selected, options, RunSearch);
}

}  // namespace tessera::cli
