#ifndef TESSERA_INDEX_SIMD_SCALAR_ENCODE_H_
#define TESSERA_INDEX_SIMD_SCALAR_ENCODE_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// A vector x in 8 bits a component, the range of its components in 255 steps:
// x~ = offset + step * code.
struct ScalarEncoding {
  float step = 0;  // never 0, also where all components are equal
  float offset = 0;
  double norm2 = 0;   // |x~|^2
  double error2 = 0;  // |x - x~|^2
};

// Writes the codes of n > 0 finite components. Codes, step and offset are the same on every target,
// the sums but for the order in which they are made.
ScalarEncoding ScalarEncode(const float* x, size_t n, uint8_t* codes);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_SCALAR_ENCODE_H_
