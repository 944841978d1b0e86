#ifndef TESSERA_INDEX_BASE_MATRIX_H_
#define TESSERA_INDEX_BASE_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "index/base/buffer.h"
#include "index/base/types.h"

namespace tessera {

// A view of `rows` x `cols` floats, row-major without padding. Does not own; cheap to copy.
struct MatrixView {
  const float* data = nullptr;
  size_t rows = 0;
  size_t cols = 0;

  std::span<const float> row(size_t i) const { return {data + i * cols, cols}; }
  MatrixView Rows(size_t begin, size_t count) const { return {data + begin * cols, count, cols}; }
};

// An owned, 64-byte aligned, zero-initialised matrix of floats. Move-only. Thread-compatible.
class Matrix {
 public:
  Matrix() = default;
  Matrix(size_t rows, size_t cols) : buffer_(rows * cols), rows_(rows), cols_(cols) {}

  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  float* data() { return buffer_.data(); }
  const float* data() const { return buffer_.data(); }
  std::span<float> row(size_t i) { return {data() + i * cols_, cols_}; }
  std::span<const float> row(size_t i) const { return {data() + i * cols_, cols_}; }
  MatrixView view() const { return {data(), rows_, cols_}; }
  operator MatrixView() const { return view(); }

 private:
  AlignedBuffer<float> buffer_;
  size_t rows_ = 0;
  size_t cols_ = 0;
};

inline Matrix CopyOf(MatrixView from) {
  Matrix copy(from.rows, from.cols);
  if (from.rows > 0) std::memcpy(copy.data(), from.data, from.rows * from.cols * sizeof(float));
  return copy;
}

// Copies of the rows of these numbers, in their order.
inline Matrix RowsOf(MatrixView from, std::span<const uint32_t> numbers) {
  Matrix rows(numbers.size(), from.cols);
  for (size_t i = 0; i < numbers.size(); ++i) {
    std::memcpy(rows.row(i).data(), from.row(numbers[i]).data(), from.cols * sizeof(float));
  }
  return rows;
}

// A view of `rows` vectors of `dim` elements of one type, row-major without padding.
struct VectorsView {
  const std::byte* data = nullptr;
  ElementType type = ElementType::kFloat32;
  size_t rows = 0;
  size_t dim = 0;

  size_t row_bytes() const { return dim * ElementSize(type); }
  const std::byte* row(size_t i) const { return data + i * row_bytes(); }
  VectorsView Rows(size_t begin, size_t count) const { return {row(begin), type, count, dim}; }
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_MATRIX_H_
