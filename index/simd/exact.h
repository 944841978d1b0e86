#ifndef TESSERA_INDEX_SIMD_EXACT_H_
#define TESSERA_INDEX_SIMD_EXACT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/matrix.h"
#include "index/base/types.h"

namespace tessera {

// One query, prepared to be compared exactly with stored vectors of one element type. The result is
// a distance (smaller is nearer): squared L2, the negated inner product, or the negated cosine.
// A stored vector of length zero has cosine 0. Immutable after construction, thread-safe.
//
// Where query and stored vectors are integers (UINT8 / INT8) the arithmetic is in integers and
// exact; else it is in float.
class ExactScorer {
 public:
  ExactScorer(Metric metric, ElementType type, std::span<const float> query);

  // distances[i] = distance to the vector at rows[i]. Rows need no alignment. Prefetches ahead.
  void Score(const std::byte* const* rows, size_t n, float* distances) const;
  // The same for n vectors that lie one after the other.
  void ScoreContiguous(const std::byte* rows, size_t n, float* distances) const;

 private:
  Metric metric_;
  ElementType type_;
  size_t dim_;
  float query_norm_ = 0;               // |q| for COSINE
  std::vector<float> query_;           // padded with zeros to a whole number of SIMD vectors
  std::vector<uint8_t> integer_query_; // if the query is integral and fits the element type
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_EXACT_H_
