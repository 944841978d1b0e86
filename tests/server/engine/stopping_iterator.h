#ifndef TESSERA_TESTS_SERVER_ENGINE_STOPPING_ITERATOR_H_
#define TESSERA_TESTS_SERVER_ENGINE_STOPPING_ITERATOR_H_

#include <memory>
#include <string_view>
#include <utility>

#include "server/storage/store.h"
#include "tests/server/engine/stop.h"

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

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_STOPPING_ITERATOR_H_
