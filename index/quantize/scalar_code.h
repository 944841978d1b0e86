#ifndef TESSERA_INDEX_QUANTIZE_SCALAR_CODE_H_
#define TESSERA_INDEX_QUANTIZE_SCALAR_CODE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "index/base/types.h"
#include "index/simd/exact.h"

namespace tessera {

// Vectors in 8 bits a component: x~ = offset + step * c, with c from 0 to 255, offset and step of
// each vector its own (scalar quantization). Finer by far than a product code and a quarter of the
// vector, for candidates to be told apart without their full vectors.
//
// A row is step, offset, | x~ |^2 and | x - x~ |, as floats, and then a byte for each component;
// for COSINE x is of unit length. A row is never all zeros in its first four bytes, so that memory
// of zeros holds none. It is kept in memory only.
size_t ScalarRowBytes(size_t dimension);

// `vector` is finite and at most limits::kComponentMax in magnitude; `row` has ScalarRowBytes of it
// and need not be aligned.
void EncodeScalar(Metric metric, std::span<const float> vector, std::byte* row);

// One query, to be compared with such rows. One thread at a time.
class ScalarScorer {
 public:
  ScalarScorer(Metric metric, std::span<const float> query);
  // The same as a new scorer, but keeps the memory of this one.
  void Reset(Metric metric, std::span<const float> query);

  // What ExactScorer gives for the vector of rows[i] is between lower[i] and upper[i]: by the
  // triangle inequality a vector is no farther from its code than | x - x~ |, and by Cauchy's its
  // inner product differs by no more than that times the query's length.
  void Bound(const std::byte* const* rows, size_t n, float* lower, float* upper);

 private:
  Metric metric_;
  std::vector<float> query_;  // as the rows are: of unit length for COSINE
  ExactScorer products_;
  std::vector<const std::byte*> components_;
  double sum_ = 0;    // of the query's components
  double norm2_ = 0;  // |q|^2
  double length_ = 0;
  double root_dimension_ = 0;
  double rounding_ = 0;  // of a product at most, relative to both lengths
};

}  // namespace tessera

#endif  // TESSERA_INDEX_QUANTIZE_SCALAR_CODE_H_
