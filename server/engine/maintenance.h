#ifndef TESSERA_SERVER_ENGINE_MAINTENANCE_H_
#define TESSERA_SERVER_ENGINE_MAINTENANCE_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tessera {

// A thread that does background work step by step. Thread-safe.
class Maintenance {
 public:
  // Calls step() after each Wake() and whenever `period` has passed, and again at once as long as
  // it returns true.
  Maintenance(absl::Duration period, std::function<bool()> step);
  ~Maintenance() { Stop(); }
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

  // Cheap: may be called after every write.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the step that is running; none follows. May be called twice, by one thread.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasReason() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return awake_ || stopped_; }

  const absl::Duration period_;
  const std::function<bool()> step_;
  absl::Mutex mutex_;
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_MAINTENANCE_H_
