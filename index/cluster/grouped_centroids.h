#ifndef TESSERA_INDEX_CLUSTER_GROUPED_CENTROIDS_H_
#define TESSERA_INDEX_CLUSTER_GROUPED_CENTROIDS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/base/buffer.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/cluster/assign.h"
#include "index/cluster/groups.h"
#include "index/cluster/members.h"

namespace tessera {

// The nearest of many centroids at a fraction of the cost of comparing with all: centroids are
// grouped by a k-means of their own, and a vector is compared with the centroids of the groups
// nearest to it. Nearly exact (README.md has the measurements); with few centroids, exact.
//
// An answer does not depend on which other vectors are asked for with it, nor on the parallelism,
// but for float rounding. Immutable, thread-safe.
class GroupedCentroids {
 public:
  // At least one centroid; they are not needed afterwards. Takes the same groups for the same
  // centroids.
  GroupedCentroids(MatrixView centroids, Executor& executor);
  GroupedCentroids(const GroupedCentroids&) = delete;
  GroupedCentroids& operator=(const GroupedCentroids&) = delete;

  // lists[i] = the centroid found for row i of `vectors`; squared_distances[i] = how far it is,
  // unless the pointer is null.
  void Assign(MatrixView vectors, Executor& executor, uint32_t* lists,
              float* squared_distances) const;

  // 0: every centroid is compared with.
  size_t groups() const { return groups_ == nullptr ? 0 : groups_->count(); }
  size_t memory_bytes() const;

 private:
  struct Scratch;
  // The groups of the centroids, packed for the kernels.
  struct Groups {
    Groups(MatrixView centroids, RowGroups formed);

    size_t count() const { return members.clusters(); }
    size_t memory_bytes() const;

    Members members;
    Matrix heads;  // transposed
    std::vector<float> head_half_norms;
    std::vector<size_t> panel_begins;  // of each group, and the end
    AlignedBuffer<float> panels;
  };

  void AssignBlock(MatrixView block, Scratch* scratch, uint32_t* lists,
                   float* squared_distances) const;
  void ChooseGroups(MatrixView block, Scratch* scratch) const;
  void SearchGroup(MatrixView block, size_t group, std::span<const uint32_t> rows,
                   Scratch* scratch) const;

  size_t dim_;
  // One of them.
  std::unique_ptr<const NearestCentroids> all_;
  std::unique_ptr<const Groups> groups_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_GROUPED_CENTROIDS_H_
