#ifndef TESSERA_SERVER_RPC_CALL_COUNTER_H_
#define TESSERA_SERVER_RPC_CALL_COUNTER_H_

#include <chrono>
#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tessera {

// How many calls of ours are open, for a server that drains: gRPC itself would also wait for
// health watches, which only end with the server. Thread-safe.
class CallCounter {
 public:
  // Counts for as long as it lives: a member of each call.
  class Hold {
   public:
    explicit Hold(CallCounter& counter) : counter_(counter) { counter_.Add(1); }
    ~Hold() { counter_.Add(-1); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    // Since it was made.
    absl::Duration age() const {
      return absl::FromChrono(std::chrono::steady_clock::now() - start_);
    }

   private:
    CallCounter& counter_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  };

  // Waits until no call is open, or the deadline.
  void AwaitNone(absl::Time deadline) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithDeadline(absl::Condition(this, &CallCounter::None), deadline);
  }

 private:
  void Add(int calls) {
    absl::MutexLock lock(&mutex_);
    calls_ += calls;
  }
  bool None() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return calls_ == 0; }

  absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CALL_COUNTER_H_
