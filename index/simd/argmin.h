#ifndef TESSERA_INDEX_SIMD_ARGMIN_H_
#define TESSERA_INDEX_SIMD_ARGMIN_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// The arg-min half of a nearest-centroid search whose inner products a matrix product has computed.
//
// For each of `rows` rows i and each j < n, the cost is bias[j] - dots[i * stride + j]; where it is
// below best[i], best[i] becomes the cost and index[i] becomes base + j. Of equal costs the lowest
// j wins, and an earlier call wins over a later one, on every target alike. Costs must not be NaN.
void UpdateArgMin(const float* dots, size_t rows, size_t n, size_t stride, const float* bias,
                  uint32_t base, float* best, uint32_t* index);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_ARGMIN_H_
