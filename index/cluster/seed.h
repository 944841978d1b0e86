#ifndef TESSERA_INDEX_CLUSTER_SEED_H_
#define TESSERA_INDEX_CLUSTER_SEED_H_

#include <cstddef>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/cluster/random.h"

namespace tessera {

// `clusters` rows of `points` to start k-means from, drawn as k-means++ does (Arthur and
// Vassilvitskii, 2007: with a probability in proportion to the squared distance from the rows drawn
// so far) but several at a time between two updates of the distances, in the manner of k-means||
// (Bahmani et al., 2012), so that the updates are matrix products; from a subset of the points
// where there are many. clusters <= points.rows. Deterministic for a given state of `random`.
Matrix SeedCentroids(MatrixView points, size_t clusters, Random& random, Executor& executor);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_SEED_H_
