#ifndef TESSERA_SERVER_RPC_CONVERT_POINTS_H_
#define TESSERA_SERVER_RPC_CONVERT_POINTS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/crc32c.h"
#include "server/engine/types.h"
#include "tessera/v1/points.pb.h"

namespace tessera {

absl::StatusOr<WriteOptions> ToWriteOptions(v1::Durability durability,
                                            const std::string& request_id);
// The same for a request that the engine cannot tell by what it writes, with a fingerprint of it;
// `call` tells it from those of other calls.
template <class Request>
absl::StatusOr<WriteOptions> ToFingerprintedWriteOptions(std::string_view call,
                                                         const Request& request) {
  absl::StatusOr<WriteOptions> options = ToWriteOptions(request.durability(), request.request_id());
  if (!options.ok() || options->request_id.empty()) return options;
  Request content = request;
  content.clear_collection_name();
  content.clear_durability();
  content.clear_request_id();
  const std::string bytes = content.SerializeAsString();
  options->fingerprint = ExtendCrc32c(Crc32c(call.data(), call.size()), bytes.data(), bytes.size());
  return options;
}
// The batch views the request's vectors and takes its payloads.
absl::StatusOr<UpsertBatch> ToUpsertBatch(v1::UpsertRequest& request, const CollectionSpec& spec);

// The search views the request's vectors. Checks the limits on k, queries and their product.
absl::StatusOr<SearchRequest> ToSearchRequest(const v1::SearchRequest& request,
                                              const CollectionSpec& spec);

// The same of a range search.
absl::StatusOr<RangeRequest> ToRangeRequest(const v1::SearchRangeRequest& request,
                                            const CollectionSpec& spec);

absl::StatusOr<PointFields> ToPointFields(const v1::PayloadSelector& payload, bool with_vectors);

void FromWriteResult(const WriteResult& result, v1::UpsertResponse* out);
void FromWriteResult(const WriteResult& result, v1::DeletePointsResponse* out);

// These take the point's or the hits' bytes.
void FromPoint(PointData&& point, ElementType type, v1::Point* out);
void FromHit(Hit&& hit, ElementType type, v1::ScoredPoint* out);
void FromSearchResult(SearchResult&& result, v1::SearchResponse* out);
void FromRangeResult(RangeResult&& result, v1::SearchRangeResponse* out);
void FromGroupsReport(const SearchReport& report, v1::SearchGroupsResponse* out);

absl::StatusOr<ScrollOrder> ToScrollOrder(const v1::OrderBy& order_by);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_POINTS_H_
