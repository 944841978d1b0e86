#ifndef TESSERA_INDEX_CLUSTER_MEMBERS_H_
#define TESSERA_INDEX_CLUSTER_MEMBERS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/cluster/random.h"

namespace tessera {

// The points of each cluster, in ascending order. Immutable, thread-safe.
class Members {
 public:
  // assignments[i] < clusters is the cluster of point i.
  Members(std::span<const uint32_t> assignments, size_t clusters);

  size_t clusters() const { return offsets_.size() - 1; }
  std::span<const uint32_t> of(size_t cluster) const {
    return {order_.data() + offsets_[cluster], order_.data() + offsets_[cluster + 1]};
  }
  // How many points the clusters before this one have.
  size_t first(size_t cluster) const { return offsets_[cluster]; }

 private:
  std::vector<size_t> offsets_;  // clusters + 1
  std::vector<uint32_t> order_;
};

// Points that means are not taken of: those whose squared distance is more than `most`.
struct TooFar {
  std::span<const float> squared_distances;  // of all points; empty: none is too far
  float most = 0;
};

// Moves each centroid to the mean of its members that are not too far; those without stay. Sums are
// in double, in the order of the members, so that the result does not depend on the parallelism.
void MoveToMeans(MatrixView points, const Members& members, const TooFar& too_far,
                 Executor& executor, Matrix* centroids);

// Gives each centroid without members a random member of the largest cluster; a cluster that has
// given one counts as half its size afterwards. Returns how many it moved.
size_t RepairEmptyClusters(MatrixView points, const Members& members, Random& random,
                           Matrix* centroids);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_MEMBERS_H_
