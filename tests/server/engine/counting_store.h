#ifndef TESSERA_TESTS_SERVER_ENGINE_COUNTING_STORE_H_
#define TESSERA_TESTS_SERVER_ENGINE_COUNTING_STORE_H_

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/engine/store_wrapper.h"

namespace tessera {

// Counts the point records that are read one by one.
class CountingStore : public StoreWrapper {
 public:
  CountingStore(std::unique_ptr<Store> store, std::atomic<size_t>& reads)
      : StoreWrapper(std::move(store)), reads_(reads) {}

  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override {
    if (family == Family::kPoints) reads_ += keys.size();
    return StoreWrapper::MultiGet(family, keys, values);
  }

 private:
  std::atomic<size_t>& reads_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_COUNTING_STORE_H_
