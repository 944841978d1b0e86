#ifndef TESSERA_SERVER_ENGINE_OPERATIONS_H_
#define TESSERA_SERVER_ENGINE_OPERATIONS_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "index/base/executor.h"
#include "server/engine/types.h"

namespace tessera {

// Runs long work on threads of its own, and keeps what can be told of it. Thread-safe.
class Operations {
 public:
  // Given to the work: reports progress (also as a ProgressObserver), and tells of cancellation.
  class Context : public ProgressObserver {
   public:
    bool OnProgress(const char* phase, size_t done, size_t total) override;
    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
    // Cancelled because the server stops, not because anyone wants it undone.
    bool shutting_down() const { return shutting_down_.load(); }
    void SetCodebookVersion(uint32_t version);
    void SetSnapshot(const std::string& snapshot_id);

   private:
    friend class Operations;
    Operations* owner_ = nullptr;
    std::atomic<bool> cancelled_{false};
    std::atomic<bool> shutting_down_{false};
    OperationInfo info_;  // guarded by owner_->mutex_
  };
  // On one collection one kAlone runs at a time, and any number of kBeside beside it.
  enum class Kind { kAlone, kBeside };
  // CANCELLED ends the operation as cancelled, any other error as failed.
  using Work = std::function<absl::Status(Context&)>;

  ~Operations() { Shutdown(); }

  // RESOURCE_EXHAUSTED if too many run already, or the system has no thread; FAILED_PRECONDITION if
  // it is kAlone and another of that kind runs on the collection.
  absl::StatusOr<OperationInfo> Start(std::string_view name, const std::string& collection,
                                      Work work, Kind kind = Kind::kAlone)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<OperationInfo> Get(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<OperationInfo> List(const std::string& collection) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<OperationInfo> Await(const std::string& id, uint64_t after_revision,
                                      absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<OperationInfo> Cancel(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Cancels what runs on the collection and waits for its end.
  void CancelAndWait(const std::string& collection) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether a codebook is being trained or installed.
  bool IsTraining(const std::string& collection) ABSL_LOCKS_EXCLUDED(mutex_);
  // Cancels everything and joins the threads; Start then returns UNAVAILABLE.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    Context context;
    Kind kind = Kind::kAlone;
    std::thread thread;
  };

  std::shared_ptr<Entry> Find(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<Entry> Running(const std::string& collection, std::optional<Kind> kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finish(Entry& entry, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void ForgetOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::deque<std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);  // oldest first
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_OPERATIONS_H_
