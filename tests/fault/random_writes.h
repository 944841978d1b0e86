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

  struct Write {
    bool deletes = false;
    Durability durability = Durability::kSync;
    std::vector<PointId> ids;
    std::vector<Model::Point> points;  // of an upsert, one an id
  };

  explicit RandomWrites(uint64_t seed) : random_(seed) {}

  Write Next();
  static std::vector<float> Vector(std::mt19937_64& random);

  static absl::Status CreateCollection(Engine& engine);
  static absl::StatusOr<WriteResult> Apply(Engine& engine, const Write& write);
  static WriteResult Apply(Model& model, const Write& write);

 private:
  std::vector<PointId> SomeIds(size_t count_max);

  std::mt19937_64 random_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_FAULT_RANDOM_WRITES_H_
