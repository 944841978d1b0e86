#ifndef TESSERA_SERVER_RPC_CODEBOOK_EXPORT_H_
#define TESSERA_SERVER_RPC_CODEBOOK_EXPORT_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/rpc/codebook_budget.h"
#include "server/rpc/service_env.h"

namespace tessera {

// Codebooks.Export: reads the codebook on a worker's thread and sends it in chunks, each as the
// one before has gone out. SERVER_BUSY where that would hold more than the budget has left. The
// reactor deletes itself; the arguments outlive it.
grpc::ServerWriteReactor<grpc::ByteBuffer>* StartCodebookExport(
    const ServiceEnv& env, CodebookBudget& budget, const grpc::CallbackServerContext& context,
    const grpc::ByteBuffer* request);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CODEBOOK_EXPORT_H_
