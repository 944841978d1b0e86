#ifndef TESSERA_TESTS_SERVER_ENGINE_WALK_STOPPING_STORE_H_
#define TESSERA_TESTS_SERVER_ENGINE_WALK_STOPPING_STORE_H_

#include <memory>
#include <string_view>
#include <utility>

#include "server/storage/store.h"
#include "tests/server/engine/stop.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {

// Stops on the first step of a walk.
class StoppingIterator final : public StoreIterator {
 public:
  StoppingIterator(std::unique_ptr<StoreIterator> walk, Stop& stop)
      : walk_(std::move(walk)), stop_(stop) {}
  bool Valid() const override { return walk_->Valid(); }
  void Next() override {
    stop_.Pass();
    walk_->Next();
  }
  void Seek(std::string_view key) override { walk_->Seek(key); }
  std::string_view key() const override { return walk_->key(); }
  std::string_view value() const override { return walk_->value(); }
  absl::Status status() const override { return walk_->status(); }

 private:
  const std::unique_ptr<StoreIterator> walk_;
  Stop& stop_;
};

// Stops in a walk over points.
class WalkStoppingStore : public StoreWrapper {
 public:
  WalkStoppingStore(std::unique_ptr<Store> store, Stop& in_walk)
      : StoreWrapper(std::move(store)), in_walk_(in_walk) {}

  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      bool bulk) override {
    auto walk = StoreWrapper::Scan(family, begin, end, bulk);
    if (family != Family::kPoints) return walk;
    return std::make_unique<StoppingIterator>(std::move(walk), in_walk_);
  }

 private:
  Stop& in_walk_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_WALK_STOPPING_STORE_H_
