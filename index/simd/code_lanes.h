#ifndef TESSERA_INDEX_SIMD_CODE_LANES_H_
#define TESSERA_INDEX_SIMD_CODE_LANES_H_

#include <cstddef>
#include <cstdint>

#include "index/base/code_set.h"

namespace tessera {

// Codes come in blocks of so many: as many as a block of packed codes has vectors.
inline constexpr size_t kCodeSetBlock = 32;

// lanes[b] = which of the codes of block b are in the set: bit i stands for code i. `codes` are
// 64-byte aligned.
void CodeLanes(const uint16_t* codes, size_t num_blocks, const CodeSet& set, uint32_t* lanes);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_CODE_LANES_H_
