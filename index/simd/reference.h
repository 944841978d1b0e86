#ifndef TESSERA_INDEX_SIMD_REFERENCE_H_
#define TESSERA_INDEX_SIMD_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/base/types.h"
#include "index/simd/scalar_encode.h"

// Plain scalar versions: what every kernel is tested against, and what kernels fall back on where
// float would overflow or underflow.
namespace tessera::reference {

// IEEE-754 binary16, as bits. FloatFromHalf is exact; HalfFromFloat rounds to nearest, ties to
// even, and overflows to infinity.
float FloatFromHalf(uint16_t half);
uint16_t HalfFromFloat(float value);

// Component i of a vector of any type. The row needs no alignment.
float Component(ElementType type, const std::byte* row, size_t i);

// The distance of ExactScorer, summed in double, clamped to the finite floats.
float ExactDistance(Metric metric, ElementType type, std::span<const float> query,
                    const std::byte* row);

// As the kernel of that name; `codes` has a byte for each component.
ScalarEncoding ScalarEncode(std::span<const float> x, uint8_t* codes);

}  // namespace tessera::reference

#endif  // TESSERA_INDEX_SIMD_REFERENCE_H_
