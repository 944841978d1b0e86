#ifndef TESSERA_SERVER_ENGINE_RECALL_MONITOR_H_
#define TESSERA_SERVER_ENGINE_RECALL_MONITOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/engine/collection.h"
#include "server/engine/types.h"

namespace tessera {

// Searches once more, and exactly, what has been searched for: a sample of the queries of others,
// in a thread of its own that makes way for all others and rests after each as long as keeps it to
// a share of one core's time. What it finds, each collection keeps
// (CollectionReader::VerifySearch). Thread-safe.
class RecallMonitor {
 public:
  // `core_share`: over 0, at most 1.
  explicit RecallMonitor(double core_share);
  ~RecallMonitor() { Stop(); }
  RecallMonitor(const RecallMonitor&) = delete;
  RecallMonitor& operator=(const RecallMonitor&) = delete;

  // Whether Offer would take a search. Cheap: for every search.
  bool wants_search() const { return wants_search_.load(std::memory_order_relaxed); }
  // Takes a copy of one of the queries of a search, if it is one of those that are verified:
  // without a filter, through lists, with full vectors. Waits for nothing.
  void Offer(std::shared_ptr<const Collection> collection, const SearchRequest& request,
             const SearchReport& report) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the search that is running; none follows. May be called twice, by one thread.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Sample {
    std::shared_ptr<const Collection> collection;
    SearchRequest request;
    std::vector<std::byte> vector;  // that the request has a view of
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasReason() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || sample_ != nullptr;
  }

  const double core_share_;
  std::atomic<bool> wants_search_{true};
  std::atomic<uint64_t> offered_{0};
  absl::Mutex mutex_;
  std::unique_ptr<Sample> sample_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RECALL_MONITOR_H_
