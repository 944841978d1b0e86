#include "index/cluster/seed.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "index/base/check.h"
#include "index/cluster/assign.h"

namespace tessera {
namespace {

// From this many clusters on, seeds are drawn uniformly.
constexpr size_t kUniformFrom = 256;
// Points that seeds are drawn from, for each cluster.
constexpr size_t kPointsPerCluster = 8;
constexpr size_t kPointsMin = 4096;
// Rounds of drawing. The first draws one point; each of the others an equal share of the rest.
constexpr size_t kRounds = 32;

// `count` distinct rows of `points`, in random order.
Matrix DrawRows(MatrixView points, size_t count, Random& random) {
  std::vector<uint32_t> order(points.rows);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  Matrix drawn(count, points.cols);
  for (size_t i = 0; i < count; ++i) {
    std::swap(order[i], order[i + random.Below(order.size() - i)]);
    std::memcpy(drawn.row(i).data(), points.row(order[i]).data(), points.cols * sizeof(float));
  }
  return drawn;
}

// The squared distance of each point to the nearest seed, and which points are seeds.
class SeedDistances {
 public:
  explicit SeedDistances(size_t n)
      : nearest_(n, std::numeric_limits<float>::infinity()), cumulative_(n), taken_(n) {}

  void Take(size_t i) { taken_[i] = true; }

  void Update(MatrixView points, MatrixView seeds, Executor& executor) {
    std::vector<uint32_t> ignored(points.rows);
    std::vector<float> distances(points.rows);
    NearestCentroids(seeds).Assign(points, executor, ignored.data(), distances.data());
    double sum = 0;
    for (size_t i = 0; i < points.rows; ++i) {
      nearest_[i] = std::min(nearest_[i], distances[i]);
      if (!taken_[i]) sum += nearest_[i];
      cumulative_[i] = sum;
    }
  }

  // A point that is not a seed yet, with probability in proportion to its squared distance. Where
  // the draw hits a point that this round has taken already, or all distances are zero, the next
  // free point stands in for it.
  size_t Draw(Random& random) const {
    const double target = random.Uniform() * cumulative_.back();
    size_t i = static_cast<size_t>(
        std::upper_bound(cumulative_.begin(), cumulative_.end(), target) - cumulative_.begin());
    if (i >= taken_.size()) i = random.Below(taken_.size());
    for (size_t tried = 0; taken_[i]; ++tried) {
      TESSERA_CHECK(tried < taken_.size());
      i = i + 1 == taken_.size() ? 0 : i + 1;
    }
    return i;
  }

 private:
  std::vector<float> nearest_;
  std::vector<double> cumulative_;
  std::vector<bool> taken_;
};

}  // namespace

Matrix SeedCentroids(MatrixView points, size_t clusters, Random& random, Executor& executor) {
  TESSERA_CHECK(clusters > 0 && clusters <= points.rows);
  if (clusters >= kUniformFrom) return DrawRows(points, clusters, random);
  const size_t wanted = std::max(kPointsMin, clusters * kPointsPerCluster);
  const Matrix subset = DrawRows(points, std::min(points.rows, wanted), random);
  Matrix seeds(clusters, points.cols);
  SeedDistances distances(subset.rows());
  size_t done = 0;
  auto take = [&](size_t i) {
    distances.Take(i);
    std::memcpy(seeds.row(done++).data(), subset.row(i).data(), points.cols * sizeof(float));
  };
  take(random.Below(subset.rows()));
  size_t round_begin = 0;
  const size_t per_round = (clusters + kRounds - 1) / kRounds;
  while (done < clusters) {
    distances.Update(subset, seeds.view().Rows(round_begin, done - round_begin), executor);
    round_begin = done;
    const size_t round_end = std::min(clusters, done + per_round);
    while (done < round_end) take(distances.Draw(random));
  }
  return seeds;
}

}  // namespace tessera
