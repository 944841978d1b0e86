#ifndef TESSERA_TESTS_SERVER_ENGINE_STORE_WRAPPER_H_
#define TESSERA_TESTS_SERVER_ENGINE_STORE_WRAPPER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/storage/store.h"

namespace tessera {

// A store that hands every call on: tests override what they want to see or to change.
class StoreWrapper : public Store {
 public:
  explicit StoreWrapper(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  std::unique_ptr<StoreBatch> NewBatch() override { return store_->NewBatch(); }
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    return store_->Commit(batch, durability);
  }
  absl::Status CheckWritable() override { return store_->CheckWritable(); }
  absl::Status Sync() override { return store_->Sync(); }
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) override {
    return store_->Get(family, key);
  }
  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override {
    return store_->MultiGet(family, keys, values);
  }
  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      bool bulk) override {
    return store_->Scan(family, begin, end, bulk);
  }
  uint64_t ApproximateBytes(Family family, std::string_view begin, std::string_view end) override {
    return store_->ApproximateBytes(family, begin, end);
  }
  uint64_t ApproximateDeletions(Family family, std::string_view begin,
                                std::string_view end) override {
    return store_->ApproximateDeletions(family, begin, end);
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
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_STORE_WRAPPER_H_
