#ifndef TESSERA_SERVER_RPC_SEARCH_GATHERER_H_
#define TESSERA_SERVER_RPC_SEARCH_GATHERER_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/service_env.h"
#include "server/rpc/unary_call.h"

namespace tessera {

// Lets searches that wait at the same time share one pass over the lists: a worker that becomes
// free takes its share of all that wait, and runs those that agree in collection and parameters as
// one search of many queries. Nothing ever waits for company: a search that finds a free worker
// runs alone and at once. Thread-safe; outlives the calls.
class SearchGatherer {
 public:
  explicit SearchGatherer(const ServiceEnv& env) : env_(env) {}

  // The reactor deletes itself when gRPC is done with it.
  grpc::ServerUnaryReactor* Start(const RawCall& raw) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Call;

  // One worker's turn.
  void RunShare(Engine& engine) ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<Call*> TakeShare() ABSL_LOCKS_EXCLUDED(mutex_);
  static void RunTogether(Engine& engine, std::vector<Call*> calls);

  const ServiceEnv& env_;
  absl::Mutex mutex_;
  std::deque<Call*> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SEARCH_GATHERER_H_
