#ifndef TESSERA_SERVER_FILTER_MADE_ONCE_H_
#define TESSERA_SERVER_FILTER_MADE_ONCE_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

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

  // Null if it has not been made.
  std::shared_ptr<const T> Known() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return value_;
  }

 private:
  mutable absl::Mutex mutex_;
  mutable std::shared_ptr<const T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_MADE_ONCE_H_
