#ifndef TESSERA_SERVER_RPC_POINTS_HANDLERS_H_
#define TESSERA_SERVER_RPC_POINTS_HANDLERS_H_

#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/engine.h"
#include "tessera/v1/points.pb.h"

// What each call of Points does, without how it is called. They block.
namespace tessera {

absl::Status HandleUpsert(Engine& engine, v1::UpsertRequest& request, v1::UpsertResponse* response);
absl::Status HandleDelete(Engine& engine, v1::DeletePointsRequest& request,
                          v1::DeletePointsResponse* response);
absl::Status HandleDeleteByFilter(Engine& engine, v1::DeleteByFilterRequest& request,
                                  v1::DeletePointsResponse* response);
absl::Status HandleGet(Engine& engine, v1::GetPointsRequest& request,
                       v1::GetPointsResponse* response);
absl::Status HandleCount(Engine& engine, v1::CountRequest& request, v1::CountResponse* response);
// A page is cut short if its vectors would not fit into one message.
absl::Status HandleScroll(Engine& engine, v1::ScrollRequest& request, v1::ScrollResponse* response);

// Search in its two halves, between which searches of several calls may run as one. What
// ParseSearch returns views the request.
absl::StatusOr<SearchRequest> ParseSearch(Engine& engine, const v1::SearchRequest& request);
absl::Status SerializeSearch(SearchResult&& result, grpc::ByteBuffer* response);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_POINTS_HANDLERS_H_
