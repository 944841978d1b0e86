#ifndef TESSERA_SERVER_ENGINE_RECOVERY_PROGRESS_H_
#define TESSERA_SERVER_ENGINE_RECOVERY_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tessera {

// Counts the records that a recovery reads, and tells of it now and then. Thread-safe.
class RecoveryProgress {
 public:
  // Calls tell(records so far) when `period` has passed, by whichever thread counts then.
  RecoveryProgress(absl::Duration period, std::function<void(uint64_t records)> tell)
      : period_(period), tell_(std::move(tell)), next_(absl::Now() + period) {}

  void CountRecord() {
    const uint64_t records = records_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (records % kRecordsBetweenLooks == 0) LookAtClock(records);
  }

 private:
  static constexpr uint64_t kRecordsBetweenLooks = 1'024;

  void LookAtClock(uint64_t records) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = absl::Now();
    if (now < next_) return;
    next_ = now + period_;
    tell_(records);
  }

  const absl::Duration period_;
  const std::function<void(uint64_t)> tell_;
  std::atomic<uint64_t> records_{0};
  absl::Mutex mutex_;
  absl::Time next_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RECOVERY_PROGRESS_H_
