#ifndef TESSERA_TESTS_FAULT_RANDOM_WRITES_H_
#define TESSERA_TESTS_FAULT_RANDOM_WRITES_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"
#include "tests/model/model.h"

namespace tessera {

// Writes to one collection that a seed alone decides: one process makes them, and another one knows
// what they were. Not thread-safe.
class RandomWrites {
 public:
  static constexpr char kCollection[] = "c";
  static constexpr size_t kDimension = 8;
  // A deletion by filter of more points leaves records for a while.
  static constexpr size_t kDeletionStep = 4;

  struct Write {
    bool deletes = false;
    std::string request_id;  // not empty: it deletes by NumberBelow(bound)
    int64_t bound = 0;
    Durability durability = Durability::kSync;
    std::vector<PointId> ids;
    std::vector<Model::Point> points;  // of an upsert, one an id
  };

  explicit RandomWrites(uint64_t seed) : seed_(seed), random_(seed) {}

  Write Next();
  static std::vector<float> Vector(std::mt19937_64& random);

  static absl::Status CreateCollection(Engine& engine);
  static absl::StatusOr<WriteResult> Apply(Engine& engine, const Write& write);
  static WriteResult Apply(Model& model, const Write& write);

 private:
  std::vector<PointId> SomeIds(size_t count_max);

  const uint64_t seed_;
  std::mt19937_64 random_;
  uint64_t made_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_FAULT_RANDOM_WRITES_H_
