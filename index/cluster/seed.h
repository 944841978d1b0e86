#ifndef TESSERA_INDEX_CLUSTER_SEED_H_
#define TESSERA_INDEX_CLUSTER_SEED_H_

#include <cstddef>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/cluster/random.h"

namespace tessera {

// `clusters` rows of `points` to start k-means from. clusters <= points.rows. Deterministic for a
// given state of `random`.
//
// Few are drawn as k-means++ does (Arthur and Vassilvitskii, 2007: with a probability in proportion
// to the squared distance from the rows drawn so far) but several at a time between two updates of
// the distances, in the manner of k-means|| (Bahmani et al., 2012), so that the updates are matrix
// products; from a subset of the points where there are many.
//
// Many are drawn uniformly. On real data k-means then ends at the same error, while its clusters
// are of more even size, and even lists are cheaper to search (README.md has the measurements).
Matrix SeedCentroids(MatrixView points, size_t clusters, Random& random, Executor& executor);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_SEED_H_
