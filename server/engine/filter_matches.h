#ifndef TESSERA_SERVER_ENGINE_FILTER_MATCHES_H_
#define TESSERA_SERVER_ENGINE_FILTER_MATCHES_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/slot_mask.h"
#include "server/engine/slots_by_list.h"

namespace tessera {

// A value that is made when it is first asked for, once for all threads.
template <class T>
class MadeOnce {
 public:
  // `make` gives a shared_ptr; null is given back, and made again the next time.
  template <class Make>
  std::shared_ptr<const T> Get(const Make& make) const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (value_ == nullptr) value_ = make();
    return value_;
  }

 private:
  mutable absl::Mutex mutex_;
  mutable std::shared_ptr<const T> value_ ABSL_GUARDED_BY(mutex_);
};

// The points of a view that match a filter, and what searches need to know of them. Thread-safe
// once it is shared, and then changes only by what is made when it is needed.
struct FilterMatches {
  Roaring slots;
  uint64_t count = 0;
  uint64_t payloads_read = 0;
  std::vector<std::string> unindexed;

  MadeOnce<SlotMask> mask;
  MadeOnce<SlotsByList> by_list;
  // Searches that have used it: what costs more than one search is made from the second on.
  mutable std::atomic<uint64_t> searches{0};
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_FILTER_MATCHES_H_
