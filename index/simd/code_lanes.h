#ifndef TESSERA_INDEX_SIMD_CODE_LANES_H_
#define TESSERA_INDEX_SIMD_CODE_LANES_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/base/code_set.h"

namespace tessera {

// Codes come in blocks of so many: as many as a block of packed codes has vectors.
inline constexpr size_t kCodeSetBlock = 32;

// lanes[b] = which of the codes of block b are in the set: bit i stands for code i. `codes` are
// 64-byte aligned.
void CodeLanes(const uint16_t* codes, size_t num_blocks, const CodeSet& set, uint32_t* lanes);

// Blocks of codes that lie one after the other, 64-byte aligned.
struct CodeRun {
  static constexpr uint32_t kMostBlocks = 16;
  static constexpr uint32_t kMostCodes = kMostBlocks * kCodeSetBlock;

  const uint16_t* codes;
  uint32_t num_blocks;  // at most kMostBlocks
};

// Writes r * CodeRun::kMostCodes + i for each code i of run r that is in the set, ascending, and
// returns how many. `found` has room for all codes of the runs and kCodeMatchesSlack. Costs about
// the same however many there are: no branch depends on the codes.
inline constexpr size_t kCodeMatchesSlack = 16;
size_t CodeMatches(std::span<const CodeRun> runs, const CodeSet& set, uint32_t* found);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_CODE_LANES_H_
