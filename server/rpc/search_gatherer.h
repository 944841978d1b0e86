#ifndef TESSERA_SERVER_RPC_SEARCH_GATHERER_H_
#define TESSERA_SERVER_RPC_SEARCH_GATHERER_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/engine.h"
#include "server/rpc/polling_turn.h"
#include "server/rpc/service_env.h"
#include "server/rpc/unary_call.h"

namespace tessera {

// A search that came in a message of its own, be it a call or a part of a stream. It is answered
// once, from any thread, and may be gone when Answer or a function that answers returns.
class PendingSearch {
 public:
  virtual ~PendingSearch() = default;

  virtual size_t request_bytes() const = 0;
  // False, and answered, if there is nothing to search for.
  virtual bool Parse(Engine& engine) = 0;
  // Once it is parsed.
  virtual const SearchRequest& search() const = 0;
  // False, and answered, if nobody waits for the answer any more.
  virtual bool StillWanted() = 0;
  virtual void Answer(SearchResult&& result) = 0;
  virtual void Answer(const absl::Status& status) = 0;
};

// Lets searches that wait at the same time share one pass over the lists: those that agree in
// collection and parameters run as one search of many queries. Nothing ever waits for company that
// has not arrived.
//
// Quick searches run in the thread that received them, since waking a worker takes longer than they
// do: at once if there is no other, else in a turn of that thread after all that it has received.
// A lone one that would be quick if it need not wait for the disk is tried there.
// What is too much for one turn goes to the workers, and so do the other searches; a worker that
// becomes free takes its share of all that wait, and then lets the reads go first that have come
// to the pool meanwhile. Thread-safe; outlives the searches.
class SearchGatherer {
 public:
  explicit SearchGatherer(const ServiceEnv& env);

  // Points.Search. The reactor deletes itself when gRPC is done with it.
  grpc::ServerUnaryReactor* Start(const RawCall& raw) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether a search is small enough to be parsed in the thread that received it; others are for
  // RunLarge, which has a worker parse them.
  static bool IsSmall(const PendingSearch& search);
  // False, and not answered, if the workers take no more.
  [[nodiscard]] bool RunLarge(Engine& engine, PendingSearch* search);
  // Runs a search that has been parsed, with others that wait; SERVER_BUSY if too many do.
  // `alone`: it is the only one of its stream, or the only call.
  void Run(Engine& engine, PendingSearch* search, bool alone) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Call;

  // What becomes of a search that has been parsed.
  enum class Fate { kRunHere, kTryHere, kAskForTurn, kQueued, kRefused };
  Fate Enter(Engine& engine, PendingSearch* search, bool alone) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsFull() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has a worker run it. False if too many wait.
  bool Enqueue(Engine& engine, PendingSearch* search) ABSL_LOCKS_EXCLUDED(mutex_);
  bool EnqueueLocked(Engine& engine, PendingSearch* search) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False if the pool takes no more.
  bool StartWorker(Engine& engine) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The turn of a polling thread.
  void RunQuick() ABSL_LOCKS_EXCLUDED(mutex_);
  void HandOver(Engine& engine) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool SubmitTurn(Engine& engine) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A worker's turn: one share of what waits.
  void RunWaiting(Engine& engine) ABSL_LOCKS_EXCLUDED(mutex_);
  // The worker's next turn comes behind what is in the pool; the last has been if nothing waits.
  // False if the pool takes no more: the worker goes on then.
  bool EndTurn(Engine& engine) ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<PendingSearch*> TakeShare() ABSL_LOCKS_EXCLUDED(mutex_);
  static void RunShare(Engine& engine, std::vector<PendingSearch*> searches);
  static void RunTogether(Engine& engine, std::vector<PendingSearch*> searches);

  const ServiceEnv& env_;
  std::atomic<size_t> calls_{0};  // open ones, until gRPC is done with their answers
  absl::Mutex mutex_;
  std::deque<PendingSearch*> waiting_ ABSL_GUARDED_BY(mutex_);  // for workers
  size_t workers_ ABSL_GUARDED_BY(mutex_) = 0;                  // in RunWaiting, or about to be
  std::deque<PendingSearch*> quick_ ABSL_GUARDED_BY(mutex_);    // for a turn
  Engine* quick_engine_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool turn_asked_ ABSL_GUARDED_BY(mutex_) = false;
  size_t quick_when_asked_ ABSL_GUARDED_BY(mutex_) = 0;
  PollingTurn turn_;  // last, since the rest is there until it has ended
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SEARCH_GATHERER_H_
