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
#include "server/storage/store.h"

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
  void Pass() {
    absl::MutexLock lock(&mutex_);
    ++arrived_;
    mutex_.Await(absl::Condition(&open_));
  }
  // Everyone that has come so far, whether they passed or wait.
  int arrived() {
    absl::MutexLock lock(&mutex_);
    return arrived_;
  }
  void AwaitArrived(int count) {
    absl::MutexLock lock(&mutex_);
    const auto reached = [this, count] { return arrived_ >= count; };
    mutex_.Await(absl::Condition(&reached));
  }

 private:
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A store whose reads of points pass a gate, so that a test decides how long a call takes.
class GatedStore final : public Store {
 public:
  GatedStore(std::unique_ptr<Store> store, Gate& gate) : store_(std::move(store)), gate_(gate) {}

  std::unique_ptr<StoreBatch> NewBatch() override { return store_->NewBatch(); }
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    return store_->Commit(batch, durability);
  }
  absl::Status Sync() override { return store_->Sync(); }
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) override {
    return store_->Get(family, key);
  }
  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override {
    if (family == Family::kPoints) gate_.Pass();
    return store_->MultiGet(family, keys, values);
  }
  std::unique_ptr<StoreSnapshot> Snapshot() override { return store_->Snapshot(); }
  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      const StoreSnapshot* snapshot, bool bulk) override {
    return store_->Scan(family, begin, end, snapshot, bulk);
  }
  uint64_t ApproximateBytes(Family family, std::string_view begin, std::string_view end) override {
    return store_->ApproximateBytes(family, begin, end);
  }
  StoreUsage Usage() override { return store_->Usage(); }
  absl::Status Compact(Family family, std::string_view begin, std::string_view end,
                       std::atomic<bool>* cancelled) override {
    return store_->Compact(family, begin, end, cancelled);
  }
  absl::Status Checkpoint(const std::string& directory) override {
    return store_->Checkpoint(directory);
  }
  absl::StatusOr<std::unique_ptr<Store>> OpenCheckpoint(const std::string& directory) override {
    return store_->OpenCheckpoint(directory);
  }
  std::vector<absl::Status> CheckFiles() override { return store_->CheckFiles(); }
  absl::Status Close() override { return store_->Close(); }

 private:
  const std::unique_ptr<Store> store_;
  Gate& gate_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_RPC_GATED_STORE_H_
