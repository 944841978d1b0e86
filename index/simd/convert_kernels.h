#ifndef TESSERA_INDEX_SIMD_CONVERT_KERNELS_H_
#define TESSERA_INDEX_SIMD_CONVERT_KERNELS_H_

#include <cstddef>

#include "index/base/types.h"

// The dispatched loops behind convert.h. No alignment is needed.
namespace tessera::convert_kernels {

// Widens n components to floats.
void Widen(ElementType type, const std::byte* in, size_t n, float* out);

// Narrows n floats to `type`. False if one of them is NaN or infinite or does not fit; which one is
// for the caller to find out, and `out` is then unspecified.
bool Narrow(ElementType type, const float* in, size_t n, std::byte* out);

// Whether none of n components is NaN or infinite.
bool AllFinite(ElementType type, const std::byte* in, size_t n);

}  // namespace tessera::convert_kernels

#endif  // TESSERA_INDEX_SIMD_CONVERT_KERNELS_H_
