#include "client/cli/search_results.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"
#include "client/cli/table.h"
#include "client/cpp/vectors.h"

namespace tessera::cli {
namespace {

constexpr size_t kPayloadColumns = 100;  // of a payload in a table
constexpr size_t kFieldColumns = 60;
constexpr size_t kVectorComponents = 4;  // shown of a vector in a table
constexpr int kScoreDigits = 4;

Json ExplanationToJson(const v1::SearchResponse& response) {
  const v1::Explanation& e = response.explanation();
  Json json{{"plan", v1::SearchPlan_Name(response.plan())},
            {"exhausted", response.exhausted()},
            {"filter_selectivity", response.filter_selectivity()},
            {"filter_us", e.filter_us()},
            {"search_us", e.search_us()},
            {"table_ns", e.table_ns()},
            {"rerank_us", e.rerank_us()},
            {"fetch_us", e.fetch_us()},
            {"nprobe", e.nprobe()},
            {"rerank", e.rerank()},
            {"lists_scanned", e.lists_scanned()},
            {"codes_scanned", e.codes_scanned()},
            {"candidates_refined", e.candidates_refined()},
            {"candidates_reranked", e.candidates_reranked()},
            {"bytes_read", e.bytes_read()},
            {"points_matching", e.points_matching()},
            {"payloads_read", e.payloads_read()},
            {"unindexed", std::vector<std::string>(e.unindexed().begin(), e.unindexed().end())}};
  if (response.has_expected_recall()) json["expected_recall"] = response.expected_recall();
  return json;
}

std::string RenderExplanation(const v1::SearchResponse& response) {
  Table table({{"EXPLANATION"}, {""}});
  const Json explanation = ExplanationToJson(response);
  for (const auto& [name, value] : explanation.items()) {
    table.AddRow({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return table.Render();
}

std::string VectorCell(const v1::Vectors& vector) {
  const absl::StatusOr<std::vector<float>> floats = ToFloats(vector);
  if (!floats.ok()) return "";
  std::string text;
  for (size_t i = 0; i < std::min(floats->size(), kVectorComponents); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", FormatFixed((*floats)[i], kScoreDigits));
  }
  if (floats->size() > kVectorComponents) text += ", ...";
  return text;
}

}  // namespace

Results::Results(Context& context, std::string collection, ResultColumns columns)
    : context_(context), collection_(std::move(collection)), columns_(std::move(columns)) {}

void Results::Add(const std::string& title, const Json& query, const v1::SearchResult& result) {
  if (context_.json()) {
    Json hits = Json::array();
    for (const v1::ScoredPoint& hit : result.hits()) hits.push_back(ToJson(hit));
    documents_.push_back(Json{{"query", query}, {"hits", hits}});
    return;
  }
  if (count_++ > 0) context_.out() << "\n";
  context_.out() << title << "\n" << Render(result);
}

void Results::Explain(const v1::SearchResponse& response) {
  if (!response.has_explanation()) return;
  if (context_.json()) {
    explanations_.push_back(ExplanationToJson(response));
  } else {
    context_.out() << RenderExplanation(response) << "\n";
  }
}

void Results::Finish() {
  if (!context_.json()) return;
  Json document{{"collection_name", collection_}, {"results", documents_}};
  if (!explanations_.empty()) document["explanations"] = explanations_;
  context_.PrintJson(document);
}

std::string Results::Render(const v1::SearchResult& result) const {
  const bool payload = columns_.payload && columns_.fields.empty();
  std::vector<Table::Column> columns = {
      {"RANK", Align::kRight}, {"ID", Align::kRight}, {"SCORE", Align::kRight}};
  if (columns_.bounds) columns.push_back({"LOWER", Align::kRight});
  if (columns_.bounds) columns.push_back({"UPPER", Align::kRight});
  if (columns_.certain) columns.push_back({"TOLD BY"});
  for (const std::string& field : columns_.fields) {
    columns.push_back({field, Align::kLeft, kFieldColumns});
  }
  if (payload) columns.push_back({"PAYLOAD", Align::kLeft, kPayloadColumns});
  if (columns_.vectors) columns.push_back({"VECTOR"});
  Table table(std::move(columns));
  for (int i = 0; i < result.hits_size(); ++i) {
    const v1::ScoredPoint& hit = result.hits(i);
    // A score from codes alone is marked, so that it is never taken for the true one.
    std::vector<std::string> cells = {
        std::to_string(i + 1), ToText(hit.id()),
        absl::StrCat(hit.score_is_exact() ? "" : "~", FormatFixed(hit.score(), kScoreDigits))};
    if (columns_.bounds) {
      cells.push_back(FormatFixed(hit.bounds().lower(), kScoreDigits));
      cells.push_back(FormatFixed(hit.bounds().upper(), kScoreDigits));
    }
    if (columns_.certain) cells.push_back(hit.certain_by_code() ? "code" : "vector");
    const Json document = columns_.fields.empty() ? Json() : PayloadToJson(hit.payload());
    for (const std::string& field : columns_.fields) {
      cells.push_back(PayloadField(document, field));
    }
    if (payload) cells.push_back(hit.payload());
    if (columns_.vectors) cells.push_back(VectorCell(hit.vector()));
    table.AddRow(std::move(cells));
  }
  return table.Render();
}

}  // namespace tessera::cli
