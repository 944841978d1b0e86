#ifndef TESSERA_SERVER_RPC_CODEBOOK_IMPORT_H_
#define TESSERA_SERVER_RPC_CODEBOOK_IMPORT_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstddef>

#include "server/rpc/service_env.h"

namespace tessera {

// The bytes that all open imports hold together. Thread-safe.
class ImportBudget {
 public:
  // False, and nothing is taken, if it would be more than limits::kCodebookBytesMax in all.
  bool Take(size_t bytes);
  void GiveBack(size_t bytes);

 private:
  std::atomic<size_t> held_{0};
};

// Codebooks.Import: collects the chunks, which only the engine can judge as a whole, and hands
// them to it on a worker's thread. The reactor deletes itself; the arguments outlive it.
grpc::ServerReadReactor<grpc::ByteBuffer>* StartCodebookImport(const ServiceEnv& env,
                                                               ImportBudget& budget,
                                                               grpc::ByteBuffer* response);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CODEBOOK_IMPORT_H_
