#ifndef TESSERA_SERVER_RPC_SEARCH_HANDLERS_H_
#define TESSERA_SERVER_RPC_SEARCH_HANDLERS_H_

#include <atomic>

#include "absl/status/status.h"
#include "server/engine/engine.h"
#include "tessera/v1/points.pb.h"

// What the calls of Points do that search, but for Search itself. They block. Those of several
// searches end with CANCELLED between two of them once `cancelled` is true.
namespace tessera {

absl::Status HandleSearchBatch(Engine& engine, v1::SearchBatchRequest& request,
                               const std::atomic<bool>& cancelled,
                               v1::SearchBatchResponse* response);
absl::Status HandleSearchRange(Engine& engine, v1::SearchRangeRequest& request,
                               v1::SearchRangeResponse* response);
absl::Status HandleSearchGroups(Engine& engine, v1::SearchGroupsRequest& request,
                                const std::atomic<bool>& cancelled,
                                v1::SearchGroupsResponse* response);
absl::Status HandleFacet(Engine& engine, v1::FacetRequest& request, v1::FacetResponse* response);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SEARCH_HANDLERS_H_
