#include "index/ivf/list_balance.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "index/base/executor.h"
#include "index/base/limits.h"
#include "index/cluster/assign.h"
#include "index/cluster/kmeans.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Parts are as long as this many lists are on average: a list that has just been split is far from
// the next time.
constexpr uint64_t kPartMeans = 2;
constexpr size_t kPartsMin = 2;
constexpr size_t kKMeansIterations = 10;
// Lists around one that has moved whose entries may be nearer to it.
constexpr size_t kNeighborLists = 8;
// Of a sample: a larger part makes the split useless.
constexpr size_t kLargestPartPercent = 90;
// How often the largest part is tried again without the others.
constexpr int kSplitRounds = 16;

uint64_t Sum(std::span<const uint32_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
}

// Lists that are no longer than the mean, shortest first: as many as can be of use.
std::vector<uint32_t> ShortLists(std::span<const uint32_t> sizes, uint64_t mean) {
  std::vector<uint32_t> lists;
  for (uint32_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] <= mean) lists.push_back(i);
  }
  const size_t used = std::min(lists.size(), limits::kListsSplitMax * limits::kListPartsMax);
  const auto shorter = [&](uint32_t a, uint32_t b) {
    return std::pair(sizes[a], a) < std::pair(sizes[b], b);
  };
  std::partial_sort(lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(used), lists.end(),
                    shorter);
  lists.resize(used);
  return lists;
}

Matrix RowsOfPart(MatrixView sample, const std::vector<uint32_t>& assigned, uint32_t part,
                  size_t count) {
  Matrix rows(count, sample.cols);
  size_t filled = 0;
  for (size_t i = 0; i < sample.rows; ++i) {
    if (assigned[i] == part) std::ranges::copy(sample.row(i), rows.row(filled++).begin());
  }
  return rows;
}

}  // namespace

size_t ListSizeMax(uint64_t entries, size_t nlist) {
  return std::max<size_t>(limits::kListSplitEntries,
                          limits::kListMeansMax * entries / std::max<size_t>(nlist, 1));
}

std::vector<ListSplit> ChooseSplits(std::span<const uint32_t> sizes,
                                    const std::function<bool(uint32_t list)>& may_split) {
  const uint64_t entries = Sum(sizes);
  const size_t size_max = ListSizeMax(entries, sizes.size());
  std::vector<uint32_t> long_lists;
  for (uint32_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] > size_max && may_split(i)) long_lists.push_back(i);
  }
  std::vector<ListSplit> splits;
  if (long_lists.empty()) return splits;
  std::sort(long_lists.begin(), long_lists.end(),
            [&](uint32_t a, uint32_t b) { return sizes[a] > sizes[b]; });
  if (long_lists.size() > limits::kListsSplitMax) long_lists.resize(limits::kListsSplitMax);

  const uint64_t mean = std::max<uint64_t>(1, entries / sizes.size());
  const std::vector<uint32_t> short_lists = ShortLists(sizes, mean);
  size_t taken = 0;
  uint64_t moved = 0;  // entries of the takers: they all have to go elsewhere
  for (const uint32_t list : long_lists) {
    const size_t parts =
        std::clamp<uint64_t>(sizes[list] / (kPartMeans * mean), kPartsMin, limits::kListPartsMax);
    ListSplit split{list, {}};
    while (split.takers.size() < parts && taken < short_lists.size()) {
      const uint64_t more = sizes[short_lists[taken]];
      const bool needed = splits.empty() && split.takers.size() < kPartsMin;
      if (!needed && moved + more > limits::kListMoveEntriesMax) break;
      moved += more;
      split.takers.push_back(short_lists[taken++]);
    }
    if (split.takers.size() < kPartsMin) break;
    splits.push_back(std::move(split));
  }
  return splits;
}

// Few vectors far from all others, or an unlucky start, take a part of their own and leave nearly
// all in one: that one is tried again, without what the others took.
std::optional<Matrix> SplitCentroids(MatrixView sample, size_t parts) {
  KMeansOptions options;
  options.clusters = parts;
  options.iterations = kKMeansIterations;
  InlineExecutor executor;
  Matrix rest;  // what `sample` shows from the second round on
  std::vector<uint32_t> assigned;
  for (int round = 0; round < kSplitRounds && sample.rows >= parts; ++round) {
    auto clusters = KMeans(sample, options, executor, nullptr);
    if (!clusters.ok()) break;  // only for arguments that are not ours
    assigned.resize(sample.rows);
    NearestCentroids(clusters->centroids).Assign(sample, executor, assigned.data(), nullptr);
    std::vector<size_t> counts(parts, 0);
    for (const uint32_t part : assigned) ++counts[part];
    const auto largest = std::max_element(counts.begin(), counts.end());
    if (*largest * 100 <= sample.rows * kLargestPartPercent) return std::move(clusters->centroids);
    if (*largest == sample.rows) break;  // all alike
    rest = RowsOfPart(sample, assigned, static_cast<uint32_t>(largest - counts.begin()), *largest);
    sample = rest;
  }
  return std::nullopt;
}

std::vector<uint32_t> ListsNear(MatrixView centroids, std::span<const uint32_t> moved) {
  std::vector<std::pair<float, uint32_t>> others;
  std::vector<uint32_t> near;
  for (const uint32_t list : moved) {
    others.clear();
    for (uint32_t other = 0; other < centroids.rows; ++other) {
      if (std::binary_search(moved.begin(), moved.end(), other)) continue;
      others.emplace_back(FloatSquaredDistance(centroids.row(list).data(),
                                               centroids.row(other).data(), centroids.cols),
                          other);
    }
    const auto end =
        others.begin() + static_cast<std::ptrdiff_t>(std::min(others.size(), kNeighborLists));
    std::partial_sort(others.begin(), end, others.end());
    for (auto it = others.begin(); it != end; ++it) near.push_back(it->second);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  return near;
}

}  // namespace tessera
