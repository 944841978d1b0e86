#ifndef TESSERA_INDEX_SIMD_CONVERT_H_
#define TESSERA_INDEX_SIMD_CONVERT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "index/base/matrix.h"
#include "index/base/types.h"

namespace tessera {

// Widens n components of any element type to floats. Exact.
void ToFloat(ElementType type, const std::byte* in, size_t n, float* out);

// Converts vectors to `type`. FLOAT32 to FLOAT16 rounds to nearest even; to UINT8 and INT8 every
// component must be an integer in range. INVALID_ARGUMENT names the row and the component that is
// NaN, infinite or does not fit. `out` has rows x dim x ElementSize(type) bytes.
absl::Status ConvertVectors(VectorsView in, ElementType type, std::byte* out);

// INVALID_ARGUMENT naming row and component if one is NaN or infinite.
absl::Status CheckFinite(VectorsView vectors);

// Scales each row to unit length; a row of zeros stays as it is.
void NormalizeRows(float* rows, size_t n, size_t dim);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_CONVERT_H_
