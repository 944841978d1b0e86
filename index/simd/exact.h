#ifndef TESSERA_INDEX_SIMD_EXACT_H_
#define TESSERA_INDEX_SIMD_EXACT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/matrix.h"
#include "index/base/types.h"

namespace tessera {

class Rows;

// One query, prepared to be compared exactly with stored vectors of one element type. The result is
// a distance (smaller is nearer): squared L2, the negated inner product, or the negated cosine.
// A stored vector of length zero has cosine 0. Thread-safe after construction (const methods).
//
// Where query and stored vectors are integers (UINT8 / INT8) the arithmetic is in integers and
// exact, rounded once to float at the end; else it is in float. For finite input a distance is
// always finite: one that overflows is the largest float of its sign.
class ExactScorer {
 public:
  // `query` has 1 to limits::kDimensionMax finite components; it is copied.
  ExactScorer(Metric metric, ElementType type, std::span<const float> query);

  // The same as a new scorer, but keeps the memory of this one.
  void Reset(Metric metric, ElementType type, std::span<const float> query);

  // distances[i] = distance to the vector at rows[i]. Rows need no alignment and nothing past their
  // end is read. Prefetches ahead, so rows may lie anywhere in memory.
  void Score(const std::byte* const* rows, size_t n, float* distances) const;
  // The same for n vectors that lie one after the other.
  void ScoreContiguous(const std::byte* rows, size_t n, float* distances) const;

 private:
  void ScoreRows(const Rows& rows, float* distances) const;

  Metric metric_;
  ElementType type_;
  double query_norm2_ = 0;         // |q|^2, for COSINE
  int32_t integer_query_sum_ = 0;  // as ExactQuery has them
  int32_t integer_query_square_ = 0;
  std::vector<float> query_;
  // The query in the stored type, if it is integral and fits.
  bool is_integer_ = false;
  std::vector<uint8_t> integer_query_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_EXACT_H_
