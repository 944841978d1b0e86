#ifndef TESSERA_INDEX_SIMD_CONVERT_H_
#define TESSERA_INDEX_SIMD_CONVERT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "index/base/matrix.h"
#include "index/base/types.h"

namespace tessera {

// Conversions between element types. All functions are pure and thread-safe, give the same bits on
// every machine, and need no alignment.

// Widens n components of any element type to floats. Exact.
void ToFloat(ElementType type, const std::byte* in, size_t n, float* out);

// Converts vectors to `type`. FLOAT32 to FLOAT16 rounds to nearest even; to UINT8 and INT8 every
// component must be an integer in range. INVALID_ARGUMENT names the first row and component that is
// NaN, infinite or does not fit; what is in `out` then is unspecified. `out` has rows x dim x
// ElementSize(type) bytes and does not overlap the input.
absl::Status ConvertVectors(VectorsView in, ElementType type, std::byte* out);

// INVALID_ARGUMENT naming the first row and component that is NaN or infinite.
absl::Status CheckFinite(VectorsView vectors);

// The same of vectors that come from outside: a component must not be over limits::kComponentMax in
// magnitude either. What a search computes of such vectors is finite.
absl::Status CheckComponents(VectorsView vectors);

// Scales each of n rows of finite floats to unit length; a row of zeros stays as it is.
void NormalizeRows(float* rows, size_t n, size_t dim);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_CONVERT_H_
