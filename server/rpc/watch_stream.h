#ifndef TESSERA_SERVER_RPC_WATCH_STREAM_H_
#define TESSERA_SERVER_RPC_WATCH_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/rpc/service_env.h"

namespace tessera {

// Operations.Watch: sends the operation as it is, then again when it has moved (at most once a
// tick of env.watches), until it has ended. A slow reader is sent less often, never stale news.
//
// The reactor deletes itself; `env` outlives it.
grpc::ServerWriteReactor<grpc::ByteBuffer>* StartWatchStream(
    const ServiceEnv& env, const grpc::CallbackServerContext& context,
    const grpc::ByteBuffer* request);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_WATCH_STREAM_H_
