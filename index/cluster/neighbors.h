#ifndef TESSERA_INDEX_CLUSTER_NEIGHBORS_H_
#define TESSERA_INDEX_CLUSTER_NEIGHBORS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/cluster/members.h"

namespace tessera {

// Which centroids lie near which. Immutable, thread-safe.
class CentroidNeighbors {
 public:
  // The `count` (at most centroids.rows) centroids nearest to each, itself among them.
  CentroidNeighbors(MatrixView centroids, size_t count, Executor& executor);

  // In ascending order of number.
  std::span<const uint32_t> of(size_t centroid) const {
    return {ids_.data() + centroid * count_, count_};
  }

 private:
  size_t count_;
  std::vector<uint32_t> ids_;  // centroids x count
};

// Assigns every point to the nearest of the neighbours of the centroid that it is assigned to now:
// between two iterations of k-means a point seldom moves farther, and the search costs a fraction
// of one through all centroids. lists[i] and squared_distances[i] are set as NearestCentroids does.
void AssignAmongNeighbors(MatrixView points, MatrixView centroids,
                          const CentroidNeighbors& neighbors, const Members& members,
                          Executor& executor, uint32_t* lists, float* squared_distances);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_NEIGHBORS_H_
