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
// one search of many queries. Nothing ever waits for company. A quick search that meets no other
// one runs at once in the thread that received it, since waking a worker takes longer than the
// search. Thread-safe; outlives the calls.
class SearchGatherer {
 public:
  explicit SearchGatherer(const ServiceEnv& env) : env_(env) {}

  // The reactor deletes itself when gRPC is done with it.
  grpc::ServerUnaryReactor* Start(const RawCall& raw) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Call;

  // What becomes of a call that has been parsed.
  enum class Turn { kHere, kQueued, kRefused };
  Turn Enter(Engine& engine, Call* call) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);
  // False if the pool takes no more.
  bool StartWorker(Engine& engine) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A worker's turn: until nothing waits.
  void RunWaiting(Engine& engine) ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<Call*> TakeShare() ABSL_LOCKS_EXCLUDED(mutex_);
  static void RunShare(Engine& engine, std::vector<Call*> calls);
  static void RunTogether(Engine& engine, std::vector<Call*> calls);

  const ServiceEnv& env_;
  absl::Mutex mutex_;
  std::deque<Call*> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t workers_ ABSL_GUARDED_BY(mutex_) = 0;  // in RunWaiting, or about to be
  bool here_ ABSL_GUARDED_BY(mutex_) = false;   // a search runs where it was received
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SEARCH_GATHERER_H_
