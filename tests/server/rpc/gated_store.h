#ifndef TESSERA_TESTS_SERVER_RPC_GATED_STORE_H_
#define TESSERA_TESTS_SERVER_RPC_GATED_STORE_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {

// Holds back who passes it, while it is closed. Thread-safe.
class Gate {
 public:
  void Close() {
    absl::MutexLock lock(&mutex_);
    open_ = false;
  }
  void Open() {
    absl::MutexLock lock(&mutex_);
    open_ = true;
  }
  // Has one more pass a closed gate.
  void LetOneThrough() {
    absl::MutexLock lock(&mutex_);
    ++let_through_;
  }
  void Pass() {
    absl::MutexLock lock(&mutex_);
    ++arrived_;
    const auto may_pass = [this] {
      mutex_.AssertReaderHeld();  // Await holds it
      return open_ || let_through_ > 0;
    };
    mutex_.Await(absl::Condition(&may_pass));
    if (!open_) --let_through_;
  }
  // Everyone that has come so far, whether they passed or wait.
  int arrived() {
    absl::MutexLock lock(&mutex_);
    return arrived_;
  }
  void AwaitArrived(int count) {
    absl::MutexLock lock(&mutex_);
    const auto reached = [this, count] {
      mutex_.AssertReaderHeld();  // Await holds it
      return arrived_ >= count;
    };
    mutex_.Await(absl::Condition(&reached));
  }

 private:
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  int let_through_ ABSL_GUARDED_BY(mutex_) = 0;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A store whose reads of points pass a gate, so that a test decides how long a call takes.
class GatedStore final : public StoreWrapper {
 public:
  GatedStore(std::unique_ptr<Store> store, Gate& gate)
      : StoreWrapper(std::move(store)), gate_(gate) {}

  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override {
    if (family == Family::kPoints) gate_.Pass();
    return StoreWrapper::MultiGet(family, keys, values);
  }

 private:
  Gate& gate_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_RPC_GATED_STORE_H_
