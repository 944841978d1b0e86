#ifndef TESSERA_INDEX_BASE_PQ_CODE_H_
#define TESSERA_INDEX_BASE_PQ_CODE_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// The codeword of subquantizer `j` in a code of product quantization: a byte for each, or half a
// byte, lower half first. `nbits` is 8 or 4.
inline uint32_t PqCodeword(const uint8_t* code, size_t j, uint32_t nbits) {
  return nbits == 8 ? code[j] : code[j / 2] >> (j % 2 * 4) & 15;
}

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_PQ_CODE_H_
