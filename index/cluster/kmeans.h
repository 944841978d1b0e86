#ifndef TESSERA_INDEX_CLUSTER_KMEANS_H_
#define TESSERA_INDEX_CLUSTER_KMEANS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"

namespace tessera {

struct KMeansOptions {
  size_t clusters = 0;
  size_t iterations = 20;  // at most; fewer where the error has stopped falling
  uint64_t seed = 1;
  const char* phase = "k-means";  // what the observer is told
  // If not, points much farther from their centroid than others (outliers.h) do not move it.
  bool outliers_count = true;
};

struct KMeansResult {
  Matrix centroids;  // clusters x points.cols
  // Of the points, to the centroids before the last update; of outliers that do not count, what
  // the nearest of them would have.
  double mean_squared_error = 0;
  size_t iterations = 0;  // done
};

// Lloyd's k-means from k-means++-like seeds (seed.h). Empty clusters are given a point of the
// largest one. The same points and options give the same centroids on the same machine, whatever
// the executor's parallelism: work is cut where the data say, and sums have a fixed order.
//
// Points must be finite. INVALID_ARGUMENT if there are fewer points than clusters, or no cluster;
// CANCELLED if the observer (may be null) says so. Thread-safe.
absl::StatusOr<KMeansResult> KMeans(MatrixView points, const KMeansOptions& options,
                                    Executor& executor, ProgressObserver* observer);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_KMEANS_H_
