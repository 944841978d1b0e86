#include "index/ivf/coarse_quantizer.h"

#include <algorithm>
#include <utility>

#include "index/base/matrix.h"
#include "index/simd/exact.h"

namespace tessera {

CoarseQuantizer::CoarseQuantizer(std::shared_ptr<const Codebook> codebook)
    : codebook_(std::move(codebook)) {}

void CoarseQuantizer::Nearest(const float* query, size_t nprobe,
                              std::vector<Neighbor>* lists) const {
  const MatrixView centroids = codebook_->centroids();
  const Metric metric = codebook_->metric() == Metric::kL2 ? Metric::kL2 : Metric::kInnerProduct;
  const ExactScorer scorer(metric, ElementType::kFloat32, {query, centroids.cols});
  std::vector<float> distances(centroids.rows);
  scorer.ScoreContiguous(reinterpret_cast<const std::byte*>(centroids.data), centroids.rows,
                         distances.data());
  lists->resize(centroids.rows);
  for (size_t i = 0; i < centroids.rows; ++i) {
    (*lists)[i] = {distances[i], static_cast<Slot>(i)};
  }
  std::partial_sort(lists->begin(), lists->begin() + nprobe, lists->end());
  lists->resize(nprobe);
}

}  // namespace tessera
