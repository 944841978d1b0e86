#ifndef TESSERA_SERVER_RPC_SEARCH_STREAM_H_
#define TESSERA_SERVER_RPC_SEARCH_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/rpc/search_gatherer.h"
#include "server/rpc/service_env.h"

namespace tessera {

// Points.SearchStream: searches are read as long as fewer than kSearchStreamInFlightMax of them are
// not yet answered, and their answers take, or may take, less than kMessageBytesMax in all. So a
// client that does not read costs no more than two messages. They go through the gatherer, where
// those that meet run together, and are answered in the order in which they came. One that fails,
// or that is refused because too many wait, has that as its answer. A search that is too large for
// the gatherer holds up the reading until a worker has parsed it. When the server stops, what has
// been read is still answered.
//
// The reactor deletes itself when gRPC is done with it. `env` and `gatherer` outlive it.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartSearchStream(
    const ServiceEnv& env, SearchGatherer& gatherer, const grpc::CallbackServerContext& context);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SEARCH_STREAM_H_
