#include "index/cluster/neighbors.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/cluster/gemm.h"
#include "index/simd/argmin.h"
#include "index/simd/pq_encode.h"
#include "index/simd/select_least.h"

namespace tessera {
namespace {

constexpr size_t kBlockRows = 64;
constexpr size_t kBlockMembers = 128;
constexpr size_t kClustersPerPiece = 8;
constexpr size_t kPrefetchAhead = 8;

std::vector<float> HalfNorms(MatrixView rows) {
  std::vector<float> norms(rows.rows);
  for (size_t i = 0; i < rows.rows; ++i) {
    norms[i] = 0.5f * FloatDotProduct(rows.row(i).data(), rows.row(i).data(), rows.cols);
  }
  return norms;
}

void GatherRows(MatrixView from, std::span<const uint32_t> ids, float* out) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i + kPrefetchAhead < ids.size()) {
      const float* ahead = from.row(ids[i + kPrefetchAhead]).data();
      for (size_t t = 0; t < from.cols; t += 16) __builtin_prefetch(ahead + t);
    }
    std::memcpy(out + i * from.cols, from.row(ids[i]).data(), from.cols * sizeof(float));
  }
}

// Writes the numbers of the `count` least costs in ascending order; the lowest numbers among
// equals. `scratch` has room for costs.size() + kSelectLeastSlack.
void ExactlyLeast(std::span<const float> costs, size_t count, uint32_t* scratch, uint32_t* out) {
  const size_t found = SelectLeast(costs.data(), costs.size(), count, count + count / 16, scratch);
  std::nth_element(scratch, scratch + count - 1, scratch + found, [&](uint32_t a, uint32_t b) {
    return costs[a] < costs[b] || (costs[a] == costs[b] && a < b);
  });
  std::copy_n(scratch, count, out);
  std::sort(out, out + count);
}

}  // namespace

CentroidNeighbors::CentroidNeighbors(MatrixView centroids, size_t count, Executor& executor)
    : count_(count), ids_(centroids.rows * count) {
  TESSERA_CHECK(count > 0 && count <= centroids.rows);
  const std::vector<float> half_norms = HalfNorms(centroids);
  executor.ParallelFor(centroids.rows, kBlockRows, [&](size_t begin, size_t end) {
    const size_t n = centroids.rows;
    AlignedBuffer<float> costs(kBlockRows * n);
    std::vector<uint32_t> scratch(n + kSelectLeastSlack);
    for (size_t i = begin; i < end; i += kBlockRows) {
      const size_t rows = std::min(kBlockRows, end - i);
      InnerProducts(centroids.Rows(i, rows), centroids, costs.data(), n);
      for (size_t r = 0; r < rows; ++r) {
        float* row = costs.data() + r * n;
        for (size_t j = 0; j < n; ++j) row[j] = half_norms[j] - row[j];
        ExactlyLeast({row, n}, count, scratch.data(), ids_.data() + (i + r) * count);
      }
    }
  });
}

void AssignAmongNeighbors(MatrixView points, MatrixView centroids,
                          const CentroidNeighbors& neighbors, const Members& members,
                          Executor& executor, uint32_t* lists, float* squared_distances) {
  const size_t dim = points.cols;
  const std::vector<float> half_norms = HalfNorms(centroids);
  executor.ParallelFor(members.clusters(), kClustersPerPiece, [&](size_t begin, size_t end) {
    Matrix block(kBlockMembers, dim);
    Matrix near(neighbors.of(0).size(), dim);
    std::vector<float> near_norms(near.rows()), dots(kBlockMembers * near.rows());
    std::vector<float> costs(kBlockMembers);
    std::vector<uint32_t> found(kBlockMembers);
    for (size_t c = begin; c < end; ++c) {
      const std::span<const uint32_t> ids = members.of(c);
      if (ids.empty()) continue;
      const std::span<const uint32_t> candidates = neighbors.of(c);
      GatherRows(centroids, candidates, near.data());
      for (size_t j = 0; j < candidates.size(); ++j) near_norms[j] = half_norms[candidates[j]];
      for (size_t i = 0; i < ids.size(); i += kBlockMembers) {
        const size_t rows = std::min(kBlockMembers, ids.size() - i);
        GatherRows(points, ids.subspan(i, rows), block.data());
        InnerProducts(block.view().Rows(0, rows), near, dots.data(), near.rows());
        costs.assign(kBlockMembers, std::numeric_limits<float>::infinity());
        UpdateArgMin(dots.data(), rows, near.rows(), near.rows(), near_norms.data(), 0,
                     costs.data(), found.data());
        for (size_t r = 0; r < rows; ++r) {
          const float* row = block.row(r).data();
          const uint32_t id = ids[i + r];
          lists[id] = candidates[found[r]];
          squared_distances[id] = std::max(FloatDotProduct(row, row, dim) + 2 * costs[r], 0.0f);
        }
      }
    }
  });
}

}  // namespace tessera
