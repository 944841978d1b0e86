#ifndef TESSERA_INDEX_SIMD_SELECT_LEAST_H_
#define TESSERA_INDEX_SIMD_SELECT_LEAST_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// Writes the numbers of the `count` least of n values (0 < count <= n), and of further ones that
// lie very near the last of them, to `out` in ascending order, and returns how many. `out` has room
// for n + kSelectLeastSlack. Every value that is written is at most every value that is not. Values
// must be finite. The same on every target.
inline constexpr size_t kSelectLeastSlack = 16;
size_t SelectLeast(const float* values, size_t n, size_t count, uint32_t* out);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_SELECT_LEAST_H_
