#ifndef TESSERA_SERVER_RPC_UPSERT_STREAM_H_
#define TESSERA_SERVER_RPC_UPSERT_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/rpc/service_env.h"

namespace tessera {

// Points.UpsertStream: chunks are written and answered one after the other, with one in the engine
// and at most one read ahead, so that a stream's memory is bounded by two messages. It ends with
// the status of the first chunk that is refused; chunks after that one are not written. When the
// server stops, the chunk in the engine is still answered.
//
// The reactor deletes itself when gRPC is done with it. `env` outlives it.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartUpsertStream(
    const ServiceEnv& env, const grpc::CallbackServerContext& context);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_UPSERT_STREAM_H_
