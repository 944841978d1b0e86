#include "index/cluster/members.h"

#include <cstring>
#include <functional>
#include <queue>
#include <utility>

#include "index/base/check.h"

namespace tessera {
namespace {

constexpr size_t kClustersPerPiece = 8;
constexpr size_t kPrefetchAhead = 4;

void PrefetchRow(std::span<const float> row) {
  for (size_t t = 0; t < row.size(); t += 16) __builtin_prefetch(row.data() + t);
}

}  // namespace

Members::Members(std::span<const uint32_t> assignments, size_t clusters)
    : offsets_(clusters + 1), order_(assignments.size()) {
  for (uint32_t cluster : assignments) ++offsets_[cluster + 1];
  for (size_t c = 0; c < clusters; ++c) offsets_[c + 1] += offsets_[c];
  std::vector<size_t> next(offsets_.begin(), offsets_.end() - 1);
  for (size_t i = 0; i < assignments.size(); ++i) {
    order_[next[assignments[i]]++] = static_cast<uint32_t>(i);
  }
}

void MoveToMeans(MatrixView points, const Members& members, const TooFar& too_far,
                 Executor& executor, Matrix* centroids) {
  const size_t dim = points.cols;
  const bool any_too_far = !too_far.squared_distances.empty();
  executor.ParallelFor(members.clusters(), kClustersPerPiece, [&](size_t begin, size_t end) {
    std::vector<double> sum(dim);
    for (size_t c = begin; c < end; ++c) {
      const std::span<const uint32_t> ids = members.of(c);
      size_t summed = 0;
      sum.assign(dim, 0.0);
      for (size_t i = 0; i < ids.size(); ++i) {
        if (i + kPrefetchAhead < ids.size()) PrefetchRow(points.row(ids[i + kPrefetchAhead]));
        if (any_too_far && too_far.squared_distances[ids[i]] > too_far.most) continue;
        ++summed;
        const float* row = points.row(ids[i]).data();
        for (size_t t = 0; t < dim; ++t) sum[t] += row[t];
      }
      if (summed == 0) continue;
      const double scale = 1.0 / static_cast<double>(summed);
      float* centroid = centroids->row(c).data();
      for (size_t t = 0; t < dim; ++t) centroid[t] = static_cast<float>(sum[t] * scale);
    }
  });
}

size_t RepairEmptyClusters(MatrixView points, const Members& members, Random& random,
                           Matrix* centroids) {
  std::vector<size_t> empty;
  for (size_t c = 0; c < members.clusters(); ++c) {
    if (members.of(c).empty()) empty.push_back(c);
  }
  if (empty.empty()) return 0;
  // Largest first; the lowest number among equals.
  using Entry = std::pair<size_t, size_t>;  // size, clusters() - number
  std::priority_queue<Entry> largest;
  for (size_t c = 0; c < members.clusters(); ++c) {
    if (!members.of(c).empty()) largest.emplace(members.of(c).size(), members.clusters() - c);
  }
  for (size_t c : empty) {
    TESSERA_CHECK(!largest.empty());
    const auto [size, key] = largest.top();
    largest.pop();
    const std::span<const uint32_t> ids = members.of(members.clusters() - key);
    const uint32_t id = ids[random.Below(ids.size())];
    std::memcpy(centroids->row(c).data(), points.row(id).data(), points.cols * sizeof(float));
    largest.emplace(size / 2, key);
  }
  return empty.size();
}

}  // namespace tessera
