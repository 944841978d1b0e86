#ifndef TESSERA_INDEX_CLUSTER_ASSIGN_H_
#define TESSERA_INDEX_CLUSTER_ASSIGN_H_

#include <cstddef>
#include <cstdint>

#include "index/base/buffer.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"

namespace tessera {

// Finds the centroid nearest to each of many vectors, by squared Euclidean distance; of equally
// near ones the lowest number. Exact up to float rounding. Immutable, thread-safe.
class NearestCentroids {
 public:
  // At least one centroid; they are not needed afterwards.
  explicit NearestCentroids(MatrixView centroids);

  // lists[i] = the centroid nearest to row i of `vectors`; squared_distances[i] = how far it is,
  // unless the pointer is null. The same vectors give the same answer whatever the parallelism.
  void Assign(MatrixView vectors, Executor& executor, uint32_t* lists,
              float* squared_distances) const;

  size_t memory_bytes() const { return panels_.size() * sizeof(float); }

 private:
  void AssignBlock(MatrixView block, uint32_t* lists, float* squared_distances) const;

  size_t centroids_;
  size_t dim_;
  AlignedBuffer<float> panels_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_ASSIGN_H_
