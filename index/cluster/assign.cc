#include "index/cluster/assign.h"

#include <algorithm>
#include <limits>

#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/cluster/gemm.h"
#include "index/simd/argmin.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// A tile of inner products, 128 x 512 floats, stays in the second-level cache between the matrix
// product that writes it and the arg-min that reads it. Tiles do not depend on the parallelism, so
// neither do the results.
constexpr size_t kBlockVectors = 128;
constexpr size_t kBlockCentroids = 512;

}  // namespace

NearestCentroids::NearestCentroids(MatrixView centroids)
    : centroids_(centroids), half_norms_(centroids.rows) {
  TESSERA_CHECK(centroids.rows > 0);
  for (size_t j = 0; j < centroids.rows; ++j) {
    const float* row = centroids.row(j).data();
    half_norms_[j] = 0.5f * FloatDotProduct(row, row, centroids.cols);
  }
}

void NearestCentroids::AssignBlock(MatrixView block, float* dots, uint32_t* lists,
                                   float* squared_distances) const {
  float costs[kBlockVectors];
  std::fill(costs, costs + block.rows, std::numeric_limits<float>::infinity());
  std::fill(lists, lists + block.rows, 0);
  for (size_t begin = 0; begin < centroids_.rows; begin += kBlockCentroids) {
    const size_t count = std::min(kBlockCentroids, centroids_.rows - begin);
    InnerProducts(block, centroids_.Rows(begin, count), dots, kBlockCentroids);
    UpdateArgMin(dots, block.rows, count, kBlockCentroids, half_norms_.data() + begin,
                 static_cast<uint32_t>(begin), costs, lists);
  }
  if (squared_distances == nullptr) return;
  for (size_t i = 0; i < block.rows; ++i) {
    const float* row = block.row(i).data();
    const float distance = FloatDotProduct(row, row, block.cols) + 2 * costs[i];
    squared_distances[i] = std::max(distance, 0.0f);
  }
}

void NearestCentroids::Assign(MatrixView vectors, Executor& executor, uint32_t* lists,
                              float* squared_distances) const {
  TESSERA_CHECK(vectors.cols == centroids_.cols);
  executor.ParallelFor(vectors.rows, kBlockVectors, [&](size_t begin, size_t end) {
    AlignedBuffer<float> dots(kBlockVectors * kBlockCentroids);
    for (size_t i = begin; i < end; i += kBlockVectors) {
      const size_t count = std::min(kBlockVectors, end - i);
      AssignBlock(vectors.Rows(i, count), dots.data(), lists + i,
                  squared_distances == nullptr ? nullptr : squared_distances + i);
    }
  });
}

}  // namespace tessera
