#include "server/rpc/convert_points.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
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

// What is searched for: vectors or ids, one of the two.
absl::Status ReadQueries(const v1::SearchRequest& request, const CollectionSpec& spec,
                         SearchRequest* out) {
  if (request.has_vectors() && request.has_ids()) {
    return InvalidField("vectors", "is there beside ids, must be one of the two");
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

absl::StatusOr<UpsertBatch> ToUpsertBatch(v1::UpsertRequest& request, const CollectionSpec& spec) {
  UpsertBatch batch;
  ASSIGN_OR_RETURN(batch.ids, ToPointIds(request.ids(), "ids", limits::kUpsertPointsMax));
  const size_t rows = batch.ids.size();
  ASSIGN_OR_RETURN(batch.vectors, ToVectors(request.vectors(), "vectors", spec.dimension, rows,
                                            limits::kUpsertPointsMax));
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
  search.fields = ToPointFields(request.with_payload(), request.with_vectors());

  RETURN_IF_ERROR(ReadQueries(request, spec, &search));
  const size_t queries = std::max(search.ids.size(), search.vectors.rows);
  if (queries * search.limit > limits::kSearchResultsMax) {
    return InvalidField("limit", absl::StrCat(queries, " queries x limit ", search.limit, " are ",
                                              queries * search.limit, " results, the limit is ",
                                              limits::kSearchResultsMax));
  }
  if (search.fields.vector) RETURN_IF_ERROR(CheckVectorBytes(queries * search.limit, spec));
  return search;
}

PointFields ToPointFields(const v1::PayloadSelector& payload, bool with_vectors) {
  return PointFields{.payload = payload.enable(), .vector = with_vectors};
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

void FromSearchResult(SearchResult&& result, v1::SearchResponse* out) {
  out->mutable_results()->Reserve(static_cast<int>(result.hits.size()));
  for (std::vector<Hit>& row : result.hits) {
    auto* hits = out->add_results()->mutable_hits();
    hits->Reserve(static_cast<int>(row.size()));
    for (Hit& hit : row) {
      v1::ScoredPoint* scored = hits->Add();
      FromPointId(hit.id, scored->mutable_id());
      scored->set_score(hit.score);
      scored->set_score_is_exact(hit.score_is_exact);
      if (!hit.payload.empty()) scored->set_payload(std::move(hit.payload));
      if (!hit.vector.empty()) {
        scored->mutable_vector()->set_data(std::move(hit.vector));
        scored->mutable_vector()->set_element_type(FromElementType(result.element_type));
      }
    }
  }
}

}  // namespace tessera
