#ifndef TESSERA_TESTS_BENCH_DATASET_H_
#define TESSERA_TESTS_BENCH_DATASET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "index/base/buffer.h"
#include "index/base/matrix.h"
#include "index/base/types.h"

namespace tessera::bench {

// Vectors to search, queries, and the true neighbours of each query.
struct Dataset {
  std::string name;
  Metric metric = Metric::kL2;
  ElementType type = ElementType::kUint8;
  AlignedBuffer<std::byte> base_bytes;  // as stored
  VectorsView base;
  Matrix queries;
  std::vector<std::vector<uint32_t>> truth;

  // Rows [begin, begin + n) of the base.
  Matrix Floats(size_t begin, size_t n) const;
};

// Reads a folder that holds `base` (squared L2) or `vectors` (inner product), `query` or `queries`,
// and `groundtruth`, each with an ending that client/cli/files reads. At most `queries_max`
// queries.
absl::StatusOr<Dataset> LoadDataset(const std::string& folder, size_t queries_max);

}  // namespace tessera::bench

#endif  // TESSERA_TESTS_BENCH_DATASET_H_
