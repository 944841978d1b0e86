#ifndef TESSERA_SERVER_RPC_CODEBOOK_IMPORT_H_
#define TESSERA_SERVER_RPC_CODEBOOK_IMPORT_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/rpc/codebook_budget.h"
#include "server/rpc/service_env.h"

namespace tessera {

// Codebooks.Import: collects the chunks, which only the engine can judge as a whole, and hands
// them to it on a worker's thread. The reactor deletes itself; the arguments outlive it.
grpc::ServerReadReactor<grpc::ByteBuffer>* StartCodebookImport(
    const ServiceEnv& env, CodebookBudget& budget, const grpc::CallbackServerContext& context,
    grpc::ByteBuffer* response);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CODEBOOK_IMPORT_H_
