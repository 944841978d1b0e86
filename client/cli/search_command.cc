// tessera search COLLECTION
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/filter_expression.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/query_source.h"
#include "client/cli/table.h"
#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr uint64_t kQueriesPerRequest = 100;
constexpr size_t kPayloadColumns = 100;  // of a payload in a table
constexpr size_t kFieldColumns = 60;
constexpr size_t kVectorComponents = 4;  // shown of a vector in a table

struct SearchOptions {
  std::string collection, vector, queries, rows, filter;
  std::vector<uint64_t> ids;
  std::vector<std::string> string_ids, fields;
  uint32_t limit = 10, offset = 0, nprobe = 0, rerank = 0;
  std::optional<float> score_threshold;
  bool exact = false, no_rerank = false, with_payload = false, with_vectors = false;
  bool explain = false;
};

absl::StatusOr<v1::SearchRequest> MakeRequest(const SearchOptions& options) {
  v1::SearchRequest request;
  request.set_collection_name(options.collection);
  request.set_limit(options.limit);
  v1::SearchParams& params = *request.mutable_params();
  params.set_nprobe(options.nprobe);
  params.set_exact(options.exact);
  params.set_rerank(options.rerank);
  params.set_no_rerank(options.no_rerank);
  request.mutable_with_payload()->set_enable(options.with_payload || !options.fields.empty());
  if (!options.with_payload) {
    for (const std::string& field : options.fields)
      request.mutable_with_payload()->add_include(field);
  }
  request.set_with_vectors(options.with_vectors);
  request.set_offset(options.offset);
  if (options.score_threshold.has_value()) request.set_score_threshold(*options.score_threshold);
  request.set_explain(options.explain);
  if (!options.filter.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(options.filter));
  }
  return request;
}

Json ExplanationToJson(const v1::SearchResponse& response) {
  const v1::Explanation& e = response.explanation();
  return Json{{"plan", v1::SearchPlan_Name(response.plan())},
              {"exhausted", response.exhausted()},
              {"filter_selectivity", response.filter_selectivity()},
              {"filter_us", e.filter_us()},
              {"search_us", e.search_us()},
              {"fetch_us", e.fetch_us()},
              {"lists_scanned", e.lists_scanned()},
              {"codes_scanned", e.codes_scanned()},
              {"candidates_reranked", e.candidates_reranked()},
              {"bytes_read", e.bytes_read()},
              {"points_matching", e.points_matching()},
              {"payloads_read", e.payloads_read()},
              {"unindexed", std::vector<std::string>(e.unindexed().begin(), e.unindexed().end())}};
}

std::string RenderExplanation(const v1::SearchResponse& response) {
  Table table({{"EXPLANATION"}, {""}});
  const Json explanation = ExplanationToJson(response);
  for (const auto& [name, value] : explanation.items()) {
    table.AddRow({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return table.Render();
}

// Prints results as they come (a table each) or gathers them (one JSON document).
class Results {
 public:
  Results(Context& context, const SearchOptions& options) : context_(context), options_(options) {}

  void Add(const std::string& title, const Json& query, const v1::SearchResult& result) {
    if (context_.json()) {
      Json hits = Json::array();
      for (const v1::ScoredPoint& hit : result.hits()) hits.push_back(ToJson(hit));
      documents_.push_back(Json{{"query", query}, {"hits", hits}});
      return;
    }
    if (count_++ > 0) context_.out() << "\n";
    context_.out() << title << "\n" << Render(result);
  }

  // Says how the searches of a response were done, if that was asked for.
  void Explain(const v1::SearchResponse& response) {
    if (!response.has_explanation()) return;
    if (context_.json()) {
      explanations_.push_back(ExplanationToJson(response));
    } else {
      context_.out() << RenderExplanation(response) << "\n";
    }
  }

  void Finish() {
    if (!context_.json()) return;
    Json document{{"collection_name", options_.collection}, {"results", documents_}};
    if (!explanations_.empty()) document["explanations"] = explanations_;
    context_.PrintJson(document);
  }

 private:
  std::string Render(const v1::SearchResult& result) const {
    const bool payload = options_.with_payload && options_.fields.empty();
    std::vector<Table::Column> columns = {
        {"RANK", Align::kRight}, {"ID", Align::kRight}, {"SCORE", Align::kRight}};
    for (const std::string& field : options_.fields) {
      columns.push_back({field, Align::kLeft, kFieldColumns});
    }
    if (payload) columns.push_back({"PAYLOAD", Align::kLeft, kPayloadColumns});
    if (options_.with_vectors) columns.push_back({"VECTOR"});
    Table table(std::move(columns));
    for (int i = 0; i < result.hits_size(); ++i) {
      const v1::ScoredPoint& hit = result.hits(i);
      // A score from codes alone is marked, so that it is never taken for the true one.
      std::vector<std::string> cells = {
          std::to_string(i + 1), ToText(hit.id()),
          absl::StrCat(hit.score_is_exact() ? "" : "~", FormatFixed(hit.score(), 4))};
      const Json document = options_.fields.empty() ? Json() : PayloadToJson(hit.payload());
      for (const std::string& field : options_.fields) {
        cells.push_back(PayloadField(document, field));
      }
      if (payload) cells.push_back(hit.payload());
      if (options_.with_vectors) cells.push_back(VectorCell(hit.vector()));
      table.AddRow(std::move(cells));
    }
    return table.Render();
  }

  static std::string VectorCell(const v1::Vectors& vector) {
    const absl::StatusOr<std::vector<float>> floats = ToFloats(vector);
    if (!floats.ok()) return "";
    std::string text;
    for (size_t i = 0; i < std::min(floats->size(), kVectorComponents); ++i) {
      absl::StrAppend(&text, i == 0 ? "" : ", ", FormatFixed((*floats)[i], 4));
    }
    if (floats->size() > kVectorComponents) text += ", ...";
    return text;
  }

  Context& context_;
  const SearchOptions& options_;
  Json documents_ = Json::array();
  Json explanations_ = Json::array();
  size_t count_ = 0;
};

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
      limits::kSearchResultsMax / std::max<uint32_t>(options.limit, 1), 1, kQueriesPerRequest);
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

absl::Status RunSearch(Context& context, const SearchOptions& options) {
  const int sources = !options.vector.empty() + !options.queries.empty() + !options.ids.empty() +
                      !options.string_ids.empty();
  if (sources != 1) {
    return UsageError("search needs exactly one of --vector, --queries, --id and --id-str");
  }
  if (!options.rows.empty() && options.queries.empty()) {
    return UsageError("--rows goes with --queries");
  }
  Results results(context, options);
  if (!options.vector.empty()) {
    ASSIGN_OR_RETURN(const QuerySet queries, ParseVector(options.vector));
    RETURN_IF_ERROR(SearchVectors(context, options, queries, results));
  } else if (!options.queries.empty()) {
    RowRange range;
    if (!options.rows.empty()) {
      ASSIGN_OR_RETURN(range, ParseRowRange(options.rows));
    }
    ASSIGN_OR_RETURN(const QuerySet queries, ReadQueries(options.queries, range));
    RETURN_IF_ERROR(SearchVectors(context, options, queries, results));
  } else {
    RETURN_IF_ERROR(SearchIds(context, options, results));
  }
  results.Finish();
  return absl::OkStatus();
}

}  // namespace

void AddSearchCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<SearchOptions>();
  CLI::App* search = AddCommand(
      app, "search", "Find nearest neighbours by vector, by stored point or from a file",
      "  tessera search words --id 7 --fields word,category,gloss\n"
      "  tessera search words --id 7 --filter 'category = \"animal\" and senses > 2' --explain\n"
      "  tessera search words --vector 0.1,-0.2,0.3 --limit 5 --exact\n"
      "  tessera search words --queries queries.npy --rows 0:5 --with-payload --output json\n\n"
      "A score marked ~ comes from a point's code alone and is approximate.");
  search->add_option("collection", options->collection, "Collection to search")->required();
  search->add_option("--vector", options->vector, "Query vector, e.g. 0.1,-0.2,0.3");
  search->add_option("--queries", options->queries, "File of query vectors");
  search->add_option("--rows", options->rows, "Rows of the file, e.g. 0:10, 5: or 7");
  search->add_option("--id", options->ids, "Number of a stored point; may be repeated")
      ->allow_extra_args(false);
  search
      ->add_option("--id-str", options->string_ids, "String id of a stored point; may be repeated")
      ->allow_extra_args(false);
  search->add_option("--limit", options->limit, "Neighbours of each query")->capture_default_str();
  search->add_option("--offset", options->offset, "Neighbours to leave out from the front");
  search->add_option("--score-threshold", options->score_threshold,
                     "Only neighbours at least as near as this score");
  search->add_option("--filter", options->filter,
                     "Only points that match, e.g. 'category = \"animal\" and senses > 2'; the "
                     "language is described in client/cli/README.md");
  search->add_flag("--explain", options->explain, "Show how the search was done");
  search->add_option("--nprobe", options->nprobe,
                     "Inverted lists to search; default: the server's");
  search->add_flag("--exact", options->exact, "Compare with every vector");
  search->add_option("--rerank", options->rerank,
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
