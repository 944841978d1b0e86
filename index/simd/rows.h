#ifndef TESSERA_INDEX_SIMD_ROWS_H_
#define TESSERA_INDEX_SIMD_ROWS_H_

#include <cstddef>

namespace tessera {

// Where the rows of a batch lie: at pointers, or one after the other. One type for both, so that
// each kernel is compiled once; the branch is always predicted. Does not own.
class Rows {
 public:
  static Rows Gathered(const std::byte* const* pointers, size_t count, size_t row_bytes) {
    return Rows(pointers, nullptr, count, row_bytes);
  }
  static Rows Contiguous(const std::byte* base, size_t count, size_t row_bytes) {
    return Rows(nullptr, base, count, row_bytes);
  }

  // Whether the rows may lie anywhere, so that the hardware cannot foresee the next one.
  bool gathered() const { return pointers_ != nullptr; }
  size_t row_bytes() const { return row_bytes_; }
  size_t count() const { return count_; }
  const std::byte* operator[](size_t i) const {
    return pointers_ != nullptr ? pointers_[i] : base_ + i * row_bytes_;
  }

 private:
  Rows(const std::byte* const* pointers, const std::byte* base, size_t count, size_t row_bytes)
      : pointers_(pointers), base_(base), count_(count), row_bytes_(row_bytes) {}

  const std::byte* const* pointers_;
  const std::byte* base_;
  size_t count_;
  size_t row_bytes_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_ROWS_H_
