#include "index/cluster/neighbors.h"

#include <algorithm>
#include <limits>

#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/cluster/gemm.h"
#include "index/simd/centroid_panels.h"
#include "index/simd/pq_encode.h"
#include "index/simd/select_least.h"

namespace tessera {
namespace {

constexpr size_t kBlockRows = 64;
constexpr size_t kBlockMembers = 128;
constexpr size_t kClustersPerPiece = 8;

std::vector<float> HalfNorms(MatrixView rows) {
  std::vector<float> norms(rows.rows);
  for (size_t i = 0; i < rows.rows; ++i) {
    norms[i] = 0.5f * FloatDotProduct(rows.row(i).data(), rows.row(i).data(), rows.cols);
  }
  return norms;
}

// A cost that can be ordered also where its sums have overflowed to infinity or NaN.
float Finite(float cost) {
  constexpr float kMost = std::numeric_limits<float>::max();
  if (!(cost < kMost)) return kMost;
  return cost > -kMost ? cost : -kMost;
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
        for (size_t j = 0; j < n; ++j) row[j] = Finite(half_norms[j] - row[j]);
        ExactlyLeast({row, n}, count, scratch.data(), ids_.data() + (i + r) * count);
      }
    }
  });
}

void AssignAmongNeighbors(MatrixView points, MatrixView centroids,
                          const CentroidNeighbors& neighbors, const Members& members,
                          Executor& executor, uint32_t* lists, float* squared_distances) {
  const size_t dim = points.cols;
  executor.ParallelFor(members.clusters(), kClustersPerPiece, [&](size_t begin, size_t end) {
    const size_t near = neighbors.of(0).size();
    AlignedBuffer<float> panels(PanelsFor(near) * PanelFloats(dim));
    const float* rows[kBlockMembers];
    float costs[kBlockMembers];
    uint32_t found[kBlockMembers];
    for (size_t c = begin; c < end; ++c) {
      const std::span<const uint32_t> ids = members.of(c);
      if (ids.empty()) continue;
      const std::span<const uint32_t> candidates = neighbors.of(c);
      PackPanels(centroids, candidates, panels.data());
      for (size_t i = 0; i < ids.size(); i += kBlockMembers) {
        const std::span<const uint32_t> some =
            ids.subspan(i, std::min(kBlockMembers, ids.size() - i));
        for (size_t r = 0; r < some.size(); ++r) rows[r] = points.row(some[r]).data();
        std::fill_n(costs, some.size(), std::numeric_limits<float>::infinity());
        std::fill_n(found, some.size(), 0);  // what stays where sums overflow
        UpdateNearest(panels.data(), near, dim, rows, some.size(), 0, costs, found);
        for (size_t r = 0; r < some.size(); ++r) {
          lists[some[r]] = candidates[found[r]];
          squared_distances[some[r]] =
              std::max(FloatDotProduct(rows[r], rows[r], dim) + 2 * costs[r], 0.0f);
        }
      }
    }
  });
}

}  // namespace tessera
