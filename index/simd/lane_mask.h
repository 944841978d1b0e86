#ifndef TESSERA_INDEX_SIMD_LANE_MASK_H_
#define TESSERA_INDEX_SIMD_LANE_MASK_H_

#include <cstddef>
#include <cstdint>

#include "index/base/slot_mask.h"
#include "index/simd/lut_scan.h"

namespace tessera {

// lanes[b] = which lanes of block b hold a slot of the mask: bit i stands for lane i. Reads the
// slots of `num_blocks` blocks that lie one after the other, and nothing else of them. Empty lanes
// have no bit.
void MaskLanes(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
               const SlotMask& mask, uint32_t* lanes);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_LANE_MASK_H_
