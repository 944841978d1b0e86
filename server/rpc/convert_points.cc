#include "server/rpc/convert_points.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_filter.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

// Vectors that come back fit into one message, which is known before anything is computed.
absl::Status CheckVectorBytes(size_t results, const CollectionSpec& spec) {
  const size_t row_bytes = spec.dimension * ElementSize(spec.element_type);
  if (results <= limits::kMessageBytesMax / row_bytes) return absl::OkStatus();
  return InvalidField("with_vectors",
                      absl::StrCat(results, " vectors of ", row_bytes,
                                   " bytes do not fit into one response, the limit is ",
                                   limits::kMessageBytesMax, " bytes"));
}

v1::SearchPlan FromSearchPlan(SearchPlan plan) {
  switch (plan) {
    case SearchPlan::kExact:
      return v1::EXACT;
    case SearchPlan::kLists:
      return v1::LISTS;
    case SearchPlan::kExactMatching:
      return v1::EXACT_MATCHING;
    case SearchPlan::kMaskedLists:
      return v1::MASKED_LISTS;
  }
  return v1::SEARCH_PLAN_UNSPECIFIED;
}

// What is searched for: vectors or ids, one of the two.
absl::Status ReadQueries(const v1::SearchRequest& request, const CollectionSpec& spec,
                         SearchRequest* out) {
  if (request.has_vectors() && request.has_ids()) {
    return InvalidField("vectors", "is there beside ids, must be one of the two");
  }
  if (request.has_recommend()) {
    if (request.has_vectors() || request.has_ids()) {
      return InvalidField("recommend", "is there beside vectors or ids, must be alone");
    }
    ASSIGN_OR_RETURN(out->positive, ToPointIds(request.recommend().positive(), "recommend.positive",
                                               limits::kRecommendExamplesMax));
    if (!request.recommend().has_negative()) return absl::OkStatus();
    ASSIGN_OR_RETURN(out->negative, ToPointIds(request.recommend().negative(), "recommend.negative",
                                               limits::kRecommendExamplesMax));
    return absl::OkStatus();
  }
  if (request.has_ids()) {
    ASSIGN_OR_RETURN(out->ids, ToPointIds(request.ids(), "ids", limits::kSearchQueriesMax));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(out->vectors, ToVectors(request.vectors(), "vectors", spec.dimension,
                                           std::nullopt, limits::kSearchQueriesMax));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WriteOptions> ToWriteOptions(v1::Durability durability,
                                            const std::string& request_id) {
  WriteOptions options;
  ASSIGN_OR_RETURN(options.durability, ToDurability(durability, "durability"));
  if (request_id.size() > limits::kRequestIdBytesMax) {
    return InvalidField("request_id",
                        absl::StrCat("has ", request_id.size(), " bytes, the limit is ",
                                     limits::kRequestIdBytesMax));
  }
  options.request_id = request_id;
  return options;
}

absl::StatusOr<UpsertBatch> ToUpsertBatch(v1::UpsertRequest& request, const CollectionSpec& spec) {
  UpsertBatch batch;
  ASSIGN_OR_RETURN(batch.options, ToWriteOptions(request.durability(), request.request_id()));
  ASSIGN_OR_RETURN(batch.ids, ToPointIds(request.ids(), "ids", limits::kUpsertPointsMax));
  const size_t rows = batch.ids.size();
  ASSIGN_OR_RETURN(batch.vectors, ToVectors(request.vectors(), "vectors", spec.dimension, rows,
                                            limits::kUpsertPointsMax));
  if (request.condition() < v1::UPSERT_CONDITION_UNSPECIFIED ||
      request.condition() > v1::UPDATE_ONLY) {
    return InvalidField("condition", "must be INSERT_ONLY, UPDATE_ONLY or nothing");
  }
  // The numbers of the two enumerations are the same.
  batch.condition = static_cast<WriteCondition>(request.condition());
  if (request.payloads_size() == 0) return batch;
  if (static_cast<size_t>(request.payloads_size()) != rows) {
    return InvalidField("payloads", absl::StrCat("has ", request.payloads_size(), " entries for ",
                                                 rows, " ids, must have one each or none"));
  }
  batch.payloads.reserve(rows);
  for (std::string& payload : *request.mutable_payloads()) {
    batch.payloads.push_back(std::move(payload));
  }
  return batch;
}

absl::StatusOr<SearchRequest> ToSearchRequest(const v1::SearchRequest& request,
                                              const CollectionSpec& spec) {
  SearchRequest search;
  search.collection = request.collection_name();
  if (request.limit() == 0 || request.limit() > limits::kSearchLimitMax) {
    return InvalidField(
        "limit", absl::StrCat("is ", request.limit(), ", must be 1 to ", limits::kSearchLimitMax));
  }
  search.limit = request.limit();
  const v1::SearchParams& params = request.params();
  RETURN_IF_ERROR(CheckAtMost("params.nprobe", params.nprobe(), limits::kListsMax));
  RETURN_IF_ERROR(CheckAtMost("params.rerank", params.rerank(), limits::kRerankMax));
  search.nprobe = params.nprobe();
  search.rerank = params.rerank();
  search.exact = params.exact();
  search.no_rerank = params.no_rerank();
  if (params.has_target_recall()) search.target_recall = params.target_recall();
  ASSIGN_OR_RETURN(search.filter, ToFilter(request.filter(), "filter"));
  ASSIGN_OR_RETURN(search.fields, ToPointFields(request.with_payload(), request.with_vectors()));
  RETURN_IF_ERROR(CheckAtMost("offset", request.offset(), limits::kSearchLimitMax));
  search.offset = request.offset();
  if (request.has_score_threshold()) {
    if (!std::isfinite(request.score_threshold())) {
      return InvalidField("score_threshold", "is not a finite number");
    }
    search.score_threshold = request.score_threshold();
  }
  search.explain = request.explain();
  search.with_bounds = request.with_bounds();

  RETURN_IF_ERROR(ReadQueries(request, spec, &search));
  const size_t queries =
      search.positive.empty() ? std::max(search.ids.size(), search.vectors.rows) : 1;
  if (queries * search.limit > limits::kSearchResultsMax) {
    return InvalidField("limit", absl::StrCat(queries, " queries x limit ", search.limit, " are ",
                                              queries * search.limit, " results, the limit is ",
                                              limits::kSearchResultsMax));
  }
  if (search.fields.vector) RETURN_IF_ERROR(CheckVectorBytes(queries * search.limit, spec));
  return search;
}

absl::StatusOr<RangeRequest> ToRangeRequest(const v1::SearchRangeRequest& request,
                                            const CollectionSpec& spec) {
  RangeRequest range;
  range.collection = request.collection_name();
  if (!request.has_radius()) return InvalidField("radius", "is missing");
  range.radius = request.radius();
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  range.page_size = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  range.page_token = request.page_token();
  range.explain = request.explain();
  ASSIGN_OR_RETURN(range.filter, ToFilter(request.filter(), "filter"));
  ASSIGN_OR_RETURN(range.fields, ToPointFields(request.with_payload(), request.with_vectors()));
  if (range.fields.vector) RETURN_IF_ERROR(CheckVectorBytes(range.page_size, spec));
  if (request.has_id()) {
    if (request.has_vector()) {
      return InvalidField("vector", "is there beside id, must be one of the two");
    }
    ASSIGN_OR_RETURN(range.id, ToPointId(request.id(), "id"));
    return range;
  }
  ASSIGN_OR_RETURN(range.vector,
                   ToVectors(request.vector(), "vector", spec.dimension, std::nullopt, 1));
  return range;
}

absl::StatusOr<PointFields> ToPointFields(const v1::PayloadSelector& payload, bool with_vectors) {
  PointFields fields{.vector = with_vectors};
  ASSIGN_OR_RETURN(fields.payload.include, ToFieldPaths(payload.include(), "with_payload.include"));
  ASSIGN_OR_RETURN(fields.payload.exclude, ToFieldPaths(payload.exclude(), "with_payload.exclude"));
  fields.payload.enabled = payload.enable() || !fields.payload.whole();
  return fields;
}

void FromWriteResult(const WriteResult& result, v1::UpsertResponse* out) {
  out->set_points(result.points);
  out->set_sequence(result.sequence);
}

void FromWriteResult(const WriteResult& result, v1::DeletePointsResponse* out) {
  out->set_points(result.points);
  out->set_sequence(result.sequence);
}

void FromPoint(PointData&& point, ElementType type, v1::Point* out) {
  FromPointId(point.id, out->mutable_id());
  if (!point.vector.empty()) {
    out->mutable_vector()->set_data(std::move(point.vector));
    out->mutable_vector()->set_element_type(FromElementType(type));
  }
  if (!point.payload.empty()) out->set_payload(std::move(point.payload));
}

void FromHit(Hit&& hit, ElementType type, v1::ScoredPoint* out) {
  FromPointId(hit.id, out->mutable_id());
  out->set_score(hit.score);
  out->set_score_is_exact(hit.score_is_exact);
  out->set_certain_by_code(hit.certain_by_code);
  if (hit.bounds.has_value()) {
    out->mutable_bounds()->set_lower(hit.bounds->lower);
    out->mutable_bounds()->set_upper(hit.bounds->upper);
  }
  if (!hit.payload.empty()) out->set_payload(std::move(hit.payload));
  if (!hit.vector.empty()) {
    out->mutable_vector()->set_data(std::move(hit.vector));
    out->mutable_vector()->set_element_type(FromElementType(type));
  }
}

void FromExplanation(const SearchReport& report, v1::Explanation* explanation) {
  explanation->set_filter_us(report.filter_us);
  explanation->set_table_ns(report.table_ns);
  explanation->set_rerank_us(report.rerank_us);
  explanation->set_search_us(report.search_us);
  explanation->set_fetch_us(report.fetch_us);
  explanation->set_nprobe(report.nprobe);
  explanation->set_rerank(report.rerank);
  explanation->set_lists_scanned(report.lists_scanned);
  explanation->set_codes_scanned(report.codes_scanned);
  explanation->set_candidates_refined(report.candidates_refined);
  explanation->set_candidates_reranked(report.candidates_reranked);
  explanation->set_bytes_read(report.bytes_read);
  explanation->set_points_matching(report.matching);
  explanation->set_payloads_read(report.payloads_read);
  for (const std::string& key : report.unindexed) explanation->add_unindexed(key);
}

template <class Response>
void FromSearchReport(const SearchReport& report, Response* out) {
  out->set_plan(FromSearchPlan(report.plan));
  out->set_lists_scanned(report.lists_scanned);
  out->set_exhausted(report.exhausted);
  out->set_filter_selectivity(report.selectivity);
  if (report.explained) FromExplanation(report, out->mutable_explanation());
}

void FromRangeResult(RangeResult&& result, v1::SearchRangeResponse* out) {
  out->mutable_hits()->Reserve(static_cast<int>(result.hits.size()));
  for (Hit& hit : result.hits) FromHit(std::move(hit), result.element_type, out->add_hits());
  out->set_next_page_token(std::move(result.next_page_token));
  out->set_plan(FromSearchPlan(result.report.plan));
  if (result.report.explained) FromExplanation(result.report, out->mutable_explanation());
}

void FromGroupsReport(const SearchReport& report, v1::SearchGroupsResponse* out) {
  FromSearchReport(report, out);
}

void FromSearchResult(SearchResult&& result, v1::SearchResponse* out) {
  FromSearchReport(result.report, out);
  if (result.report.expected_recall.has_value()) {
    out->set_expected_recall(*result.report.expected_recall);
  }
  out->mutable_results()->Reserve(static_cast<int>(result.hits.size()));
  for (std::vector<Hit>& row : result.hits) {
    auto* hits = out->add_results()->mutable_hits();
    hits->Reserve(static_cast<int>(row.size()));
    for (Hit& hit : row) FromHit(std::move(hit), result.element_type, hits->Add());
  }
}

absl::StatusOr<ScrollOrder> ToScrollOrder(const v1::OrderBy& order_by) {
  ScrollOrder order;
  order.key = FieldPath(order_by.key());
  switch (order_by.direction()) {
    case v1::DIRECTION_UNSPECIFIED:
    case v1::ASCENDING:
      break;
    case v1::DESCENDING:
      order.descending = true;
      break;
    default:
      return InvalidField(
          "order_by.direction",
          absl::StrCat("unknown direction ", static_cast<int>(order_by.direction())));
  }
  if (!order_by.has_start_from()) return order;
  const v1::StartFrom& start = order_by.start_from();
  switch (start.value_case()) {
    case v1::StartFrom::kInteger:
      order.start_from = start.integer();
      break;
    case v1::StartFrom::kNumber:
      order.start_from = start.number();
      break;
    case v1::StartFrom::kText:
      order.start_from = start.text();
      break;
    case v1::StartFrom::VALUE_NOT_SET:
      return InvalidField("order_by.start_from", "is empty");
  }
  return order;
}

}  // namespace tessera
