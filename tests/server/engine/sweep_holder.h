#ifndef TESSERA_TESTS_SERVER_ENGINE_SWEEP_HOLDER_H_
#define TESSERA_TESTS_SERVER_ENGINE_SWEEP_HOLDER_H_

#include <atomic>
#include <memory>
#include <utility>

#include "tests/server/engine/noted_batch.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {

// A store that lets large deletions remove only so many steps of their records, so that a test can
// look at what is between: it refuses the commits of further steps as a full disk would.
class SweepHolder : public StoreWrapper {
 public:
  // `too_early`, if any, counts steps before which there was no sync since the deletion, or since
  // the step before.
  SweepHolder(std::unique_ptr<Store> store, std::atomic<int>& steps_allowed,
              std::atomic<int>* too_early = nullptr)
      : StoreWrapper(std::move(store)), steps_allowed_(steps_allowed), too_early_(too_early) {}

  std::unique_ptr<StoreBatch> NewBatch() override {
    return std::make_unique<NotedBatch>(StoreWrapper::NewBatch());
  }
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    auto& noted = dynamic_cast<NotedBatch&>(batch);
    if (noted.sweeps && steps_allowed_.fetch_sub(1) <= 0) {
      steps_allowed_.fetch_add(1);
      return absl::ResourceExhaustedError("the test holds it up");
    }
    if (noted.sweeps && unsynced_.load() && too_early_ != nullptr) too_early_->fetch_add(1);
    const absl::Status status = StoreWrapper::Commit(*noted.batch, durability);
    if (noted.sweeps || noted.deletes) unsynced_ = true;
    return status;
  }
  absl::Status Sync() override {
    const absl::Status status = StoreWrapper::Sync();
    unsynced_ = false;
    return status;
  }

 private:
  std::atomic<int>& steps_allowed_;
  std::atomic<int>* const too_early_;
  std::atomic<bool> unsynced_{false};
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_SWEEP_HOLDER_H_
