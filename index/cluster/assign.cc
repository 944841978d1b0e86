#include "index/cluster/assign.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "index/base/check.h"
#include "index/simd/centroid_panels.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

constexpr size_t kBlockVectors = 128;
// As many panels stay in the second-level cache while a block of vectors is compared with them.
constexpr size_t kPanelBytesAtOnce = size_t{256} << 10;

}  // namespace

NearestCentroids::NearestCentroids(MatrixView centroids)
    : centroids_(centroids.rows),
      dim_(centroids.cols),
      panels_(PanelsFor(centroids.rows) * PanelFloats(centroids.cols)) {
  TESSERA_CHECK(centroids.rows > 0);
  std::vector<uint32_t> all(centroids.rows);
  std::iota(all.begin(), all.end(), 0);
  PackPanels(centroids, all, panels_.data());
}

void NearestCentroids::AssignBlock(MatrixView block, uint32_t* lists,
                                   float* squared_distances) const {
  const size_t panels_at_once =
      std::max<size_t>(kPanelBytesAtOnce / (PanelFloats(dim_) * sizeof(float)), 1);
  float costs[kBlockVectors];
  const float* rows[kBlockVectors];
  for (size_t i = 0; i < block.rows; ++i) {
    rows[i] = block.row(i).data();
    costs[i] = std::numeric_limits<float>::infinity();
    lists[i] = 0;
  }
  for (size_t panel = 0; panel * kPanelCentroids < centroids_; panel += panels_at_once) {
    const size_t begin = panel * kPanelCentroids;
    const size_t count = std::min(panels_at_once * kPanelCentroids, centroids_ - begin);
    UpdateNearest(panels_.data() + panel * PanelFloats(dim_), count, dim_, rows, block.rows,
                  static_cast<uint32_t>(begin), costs, lists);
  }
  if (squared_distances == nullptr) return;
  for (size_t i = 0; i < block.rows; ++i) {
    const float distance = FloatDotProduct(rows[i], rows[i], dim_) + 2 * costs[i];
    squared_distances[i] = std::max(distance, 0.0f);
  }
}

void NearestCentroids::Assign(MatrixView vectors, Executor& executor, uint32_t* lists,
                              float* squared_distances) const {
  TESSERA_CHECK(vectors.cols == dim_);
  executor.ParallelFor(vectors.rows, kBlockVectors, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i += kBlockVectors) {
      const size_t count = std::min(kBlockVectors, end - i);
      AssignBlock(vectors.Rows(i, count), lists + i,
                  squared_distances == nullptr ? nullptr : squared_distances + i);
    }
  });
}

}  // namespace tessera
