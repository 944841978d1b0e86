#include "index/cluster/kmeans.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "index/cluster/assign.h"
#include "index/cluster/grouped_centroids.h"
#include "index/cluster/members.h"
#include "index/cluster/neighbors.h"
#include "index/cluster/outliers.h"
#include "index/cluster/random.h"
#include "index/cluster/seed.h"

namespace tessera {
namespace {

// From this many clusters on, iterations after the first search for a point's centroid among the
// neighbours of its last one. 128 neighbours cost 0.1 % of the error of a full search (README.md).
constexpr size_t kNeighborsFrom = 512;
constexpr size_t kNeighbors = 128;
// Lloyd's iterations stop once the error falls by less than this share.
constexpr double kImprovementMin = 1e-5;
constexpr size_t kOutlierSample = 16'384;
constexpr float kNoOutliers = std::numeric_limits<float>::infinity();

bool Cancelled(ProgressObserver* observer, const char* phase, size_t done, size_t total) {
  return observer != nullptr && !observer->OnProgress(phase, done, total);
}

// Sets the nearest centroid of every point, and how far it is. `members` has the last assignment,
// or is null in the first iteration.
void AssignPoints(MatrixView points, MatrixView centroids, const Members* members,
                  Executor& executor, uint32_t* lists, float* squared_distances) {
  if (centroids.rows < kNeighborsFrom) {
    NearestCentroids(centroids).Assign(points, executor, lists, squared_distances);
  } else if (members == nullptr) {
    GroupedCentroids(centroids, executor).Assign(points, executor, lists, squared_distances);
  } else {
    const CentroidNeighbors neighbors(centroids, kNeighbors, executor);
    AssignAmongNeighbors(points, centroids, neighbors, *members, executor, lists,
                         squared_distances);
  }
}

// From what squared distance on a point is an outlier, by some from all over.
float FarFrom(const std::vector<float>& squared_distances) {
  const size_t rows = squared_distances.size();
  std::vector<double> sample(std::min(rows, kOutlierSample));
  for (size_t i = 0; i < sample.size(); ++i) {
    sample[i] = squared_distances[i * rows / sample.size()];
  }
  const double from = OutliersFrom(std::move(sample));
  return from < std::numeric_limits<float>::max() ? static_cast<float>(from) : kNoOutliers;
}

double MeanUpTo(float most, const std::vector<float>& values) {
  double sum = 0;
  for (float value : values) sum += std::min(value, most);
  return sum / static_cast<double>(values.size());
}

}  // namespace

absl::StatusOr<KMeansResult> KMeans(MatrixView points, const KMeansOptions& options,
                                    Executor& executor, ProgressObserver* observer) {
  if (options.clusters == 0) return absl::InvalidArgumentError("k-means needs at least 1 cluster");
  if (points.rows < options.clusters) {
    return absl::InvalidArgumentError(absl::StrCat("k-means for ", options.clusters,
                                                   " clusters needs at least as many vectors, got ",
                                                   points.rows));
  }
  const auto cancelled = [&](size_t done) {
    return Cancelled(observer, options.phase, done, options.iterations);
  };
  const absl::Status was_cancelled =
      absl::CancelledError(absl::StrCat(options.phase, " was cancelled"));
  if (cancelled(0)) return was_cancelled;

  Random random(options.seed);
  KMeansResult result;
  result.centroids = SeedCentroids(points, options.clusters, random, executor);
  std::vector<uint32_t> assignments(points.rows);
  std::vector<float> errors(points.rows);
  std::unique_ptr<Members> members;
  while (result.iterations < options.iterations) {
    AssignPoints(points, result.centroids, members.get(), executor, assignments.data(),
                 errors.data());
    const float outliers_from = options.outliers_count ? kNoOutliers : FarFrom(errors);
    const double error = MeanUpTo(outliers_from, errors);
    members = std::make_unique<Members>(assignments, options.clusters);
    MoveToMeans(points, *members, {errors, outliers_from}, executor, &result.centroids);
    const size_t repaired = RepairEmptyClusters(points, *members, random, &result.centroids);
    const bool settled = result.iterations > 0 && repaired == 0 &&
                         result.mean_squared_error - error <= kImprovementMin * error;
    result.mean_squared_error = error;
    ++result.iterations;
    if (cancelled(settled ? options.iterations : result.iterations)) return was_cancelled;
    if (settled) break;
  }
  return result;
}

}  // namespace tessera
