#ifndef TESSERA_TESTS_SERVER_ENGINE_NOTED_BATCH_H_
#define TESSERA_TESTS_SERVER_ENGINE_NOTED_BATCH_H_

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "server/engine/record_keys.h"
#include "server/storage/store.h"

namespace tessera {

// A batch that notes what it is for and hands everything on: for wrappers of stores, which give it
// out and commit what it wraps.
struct NotedBatch : StoreBatch {
  explicit NotedBatch(std::unique_ptr<StoreBatch> wrapped) : batch(std::move(wrapped)) {}
  void Put(Family family, std::string_view key, std::string_view value) override {
    codes |= family == Family::kCodes;
    centroids |= family == Family::kCodebooks && IsCentroidKey(key);
    deletes |= IsDeletion(family, key);
    batch->Put(family, key, value);
  }
  void Delete(Family family, std::string_view key) override {
    sweeps |= IsDeletion(family, key);
    batch->Delete(family, key);
  }
  void DeleteRange(Family family, std::string_view begin, std::string_view end) override {
    batch->DeleteRange(family, begin, end);
  }
  size_t bytes() const override { return batch->bytes(); }
  void Reserve(size_t bytes) override { batch->Reserve(bytes); }

  static bool IsDeletion(Family family, std::string_view key) {
    return family == Family::kMeta && key.starts_with("deletion/");
  }

  const std::unique_ptr<StoreBatch> batch;
  bool codes = false;      // has some
  bool centroids = false;  // has some that lists have moved to
  bool deletes = false;    // is a large deletion
  bool sweeps = false;     // removes records that one has left
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_NOTED_BATCH_H_
