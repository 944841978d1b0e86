#include "index/cluster/groups.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "index/cluster/assign.h"
#include "index/cluster/seed.h"

namespace tessera {
namespace {

constexpr size_t kIterations = 8;
constexpr size_t kRowsPerGroupSampled = 64;

}  // namespace

RowGroups FormGroups(MatrixView rows, size_t groups, Executor& executor) {
  const size_t used = std::min(rows.rows, groups * kRowsPerGroupSampled);
  const MatrixView sample = rows.Rows(0, used);
  Random random(1);
  Matrix heads = SeedCentroids(sample, groups, random, executor);
  std::vector<uint32_t> assignments(used);
  for (size_t i = 0; i < kIterations; ++i) {
    NearestCentroids(heads).Assign(sample, executor, assignments.data(), nullptr);
    const Members members(assignments, groups);
    MoveToMeans(sample, members, TooFar(), executor, &heads);
    RepairEmptyClusters(sample, members, random, &heads);
  }
  assignments.resize(rows.rows);
  NearestCentroids(heads).Assign(rows, executor, assignments.data(), nullptr);
  return {std::move(heads), Members(assignments, groups)};
}

}  // namespace tessera
