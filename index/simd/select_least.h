#ifndef TESSERA_INDEX_SIMD_SELECT_LEAST_H_
#define TESSERA_INDEX_SIMD_SELECT_LEAST_H_

#include <cstddef>
#include <cstdint>
#include <utility>

namespace tessera {

// Writes the numbers of the `count` least of n values (0 < count <= n) to `out` in ascending order,
// and of the next ones up to `most` in all, or of more if those lie as near to the last of them as
// floats can tell. Returns how many. `out` has room for n + kSelectLeastSlack. Every value that is
// written is at most every value that is not. Values must be finite. The same on every target.
inline constexpr size_t kSelectLeastSlack = 16;
size_t SelectLeast(const float* values, size_t n, size_t count, size_t most, uint32_t* out);

// Brings the elements of each array that SelectLeast has chosen to its front, in their order; what
// was there takes their places.
template <class... T>
void ChosenFirst(const uint32_t* chosen, size_t n, T*... arrays) {
  // Ascending, so that what is chosen has not been moved when its turn comes.
  for (size_t i = 0; i < n; ++i) (std::swap(arrays[i], arrays[chosen[i]]), ...);
}

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_SELECT_LEAST_H_
