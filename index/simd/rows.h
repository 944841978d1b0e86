#ifndef TESSERA_INDEX_SIMD_ROWS_H_
#define TESSERA_INDEX_SIMD_ROWS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

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

  size_t count() const { return count_; }
  const std::byte* operator[](size_t i) const {
    return pointers_ != nullptr ? pointers_[i] : base_ + i * row_bytes_;
  }

  // How many rows ahead to prefetch. Zero for contiguous rows, which the hardware foresees.
  size_t PrefetchDistance() const {
    if (pointers_ == nullptr) return 0;
    return std::min(count_, std::max<size_t>(kLinesInFlight / PrefetchLines(), 1));
  }
  // Fetches the cache lines of row i, the first few of a long row: the hardware streams the rest.
  void Prefetch(size_t i) const {
    const auto begin = reinterpret_cast<uintptr_t>(pointers_[i]) & ~uintptr_t{kLineBytes - 1};
    const auto row_end = reinterpret_cast<uintptr_t>(pointers_[i]) + row_bytes_;
    const auto end = std::min(row_end, begin + kPrefetchLinesMax * kLineBytes);
    for (uintptr_t line = begin; line < end; line += kLineBytes) {
      __builtin_prefetch(reinterpret_cast<const void*>(line), /*rw=*/0, /*locality=*/3);
    }
  }

 private:
  static constexpr size_t kLineBytes = 64;
  // About twice the line-fill buffers of one core: more would queue in front of the demand loads.
  static constexpr size_t kLinesInFlight = 32;
  static constexpr size_t kPrefetchLinesMax = 16;

  Rows(const std::byte* const* pointers, const std::byte* base, size_t count, size_t row_bytes)
      : pointers_(pointers), base_(base), count_(count), row_bytes_(row_bytes) {}

  size_t PrefetchLines() const {
    return std::clamp<size_t>((row_bytes_ + kLineBytes - 1) / kLineBytes, 1, kPrefetchLinesMax);
  }

  const std::byte* const* pointers_;
  const std::byte* base_;
  size_t count_;
  size_t row_bytes_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_ROWS_H_
