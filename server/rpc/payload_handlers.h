#ifndef TESSERA_SERVER_RPC_PAYLOAD_HANDLERS_H_
#define TESSERA_SERVER_RPC_PAYLOAD_HANDLERS_H_

#include "absl/status/status.h"
#include "server/engine/engine.h"
#include "tessera/v1/points.pb.h"

// What the calls of Points do that change a part of points. They block.
namespace tessera {

absl::Status HandleSetPayload(Engine& engine, v1::SetPayloadRequest& request,
                              v1::UpsertResponse* response);
absl::Status HandleOverwritePayload(Engine& engine, v1::SetPayloadRequest& request,
                                    v1::UpsertResponse* response);
absl::Status HandleDeletePayload(Engine& engine, v1::DeletePayloadRequest& request,
                                 v1::UpsertResponse* response);
absl::Status HandleClearPayload(Engine& engine, v1::ClearPayloadRequest& request,
                                v1::UpsertResponse* response);
absl::Status HandleUpdateVectors(Engine& engine, v1::UpdateVectorsRequest& request,
                                 v1::UpsertResponse* response);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_PAYLOAD_HANDLERS_H_
