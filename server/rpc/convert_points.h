#ifndef TESSERA_SERVER_RPC_CONVERT_POINTS_H_
#define TESSERA_SERVER_RPC_CONVERT_POINTS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/types.h"
#include "tessera/v1/points.pb.h"

namespace tessera {

// The batch views the request's vectors and takes its payloads.
absl::StatusOr<WriteOptions> ToWriteOptions(v1::Durability durability,
                                            const std::string& request_id);
absl::StatusOr<UpsertBatch> ToUpsertBatch(v1::UpsertRequest& request, const CollectionSpec& spec);

// The search views the request's vectors. Checks the limits on k, queries and their product.
absl::StatusOr<SearchRequest> ToSearchRequest(const v1::SearchRequest& request,
                                              const CollectionSpec& spec);

absl::StatusOr<PointFields> ToPointFields(const v1::PayloadSelector& payload, bool with_vectors);

void FromWriteResult(const WriteResult& result, v1::UpsertResponse* out);
void FromWriteResult(const WriteResult& result, v1::DeletePointsResponse* out);

// These take the point's or the hits' bytes.
void FromPoint(PointData&& point, ElementType type, v1::Point* out);
void FromHit(Hit&& hit, ElementType type, v1::ScoredPoint* out);
void FromSearchResult(SearchResult&& result, v1::SearchResponse* out);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_POINTS_H_
