#ifndef TESSERA_INDEX_QUANTIZE_ROTATION_H_
#define TESSERA_INDEX_QUANTIZE_ROTATION_H_

#include <cstddef>
#include <cstdint>

#include "index/base/executor.h"
#include "index/base/matrix.h"

namespace tessera {

// A rotation of vectors that leaves out the directions in which they hardly differ: rows that are
// orthogonal to each other and of length 1. Lengths and inner products stay what they are, but for
// what is left out. By default none, which leaves vectors as they are. Immutable, thread-safe.
class Rotation {
 public:
  Rotation() = default;
  // rows.rows() <= rows.cols(); see deviation().
  explicit Rotation(Matrix rows);

  // The `reduced` directions in which the vectors vary most (principal components), turned at
  // random among themselves, so that parts of a few components vary alike: what optimized product
  // quantization starts from (Ge et al., 2013). `reduced` is at most vectors.cols. The same vectors
  // and seed give the same on the same machine, whatever the parallelism.
  static Rotation Train(MatrixView vectors, size_t reduced, uint64_t seed, Executor& executor);

  bool is_none() const { return rows_.rows() == 0; }
  size_t dimension() const { return rows_.cols(); }
  size_t reduced() const { return rows_.rows(); }
  MatrixView rows() const { return rows_; }
  size_t memory_bytes() const { return rows_.rows() * rows_.cols() * sizeof(float); }
  // At least how far the rows are from orthogonal and of length 1, relative to what they are
  // applied to: lengths and inner products change by no larger a part than that and rounding.
  double deviation() const { return deviation_; }

  // out: reduced() floats for each row of `vectors`, the same bits whatever the other rows are. Not
  // for none, as the next.
  void Apply(MatrixView vectors, float* out) const;
  // out, dimension() floats, += the vector that reduced() floats came from, but for what was left
  // out.
  void AddBack(const float* reduced, float* out) const;

  Rotation Copy() const;

 private:
  Matrix rows_;  // reduced x dimension
  double deviation_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_QUANTIZE_ROTATION_H_
