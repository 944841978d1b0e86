#include "index/ivf/masked_scan.h"

#include <algorithm>
#include <bit>

#include "index/ivf/lists_snapshot.h"
#include "index/simd/lane_mask.h"

namespace tessera {
namespace {

constexpr size_t kBlocksAtOnce = 16;  // as many as QueryScan has room for

void ScanBlocksMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                      const SlotMask& mask, QueryScan* query, MaskedScan* found) {
  uint32_t lanes[kBlocksAtOnce];
  for (size_t begin = 0; begin < num_blocks; begin += kBlocksAtOnce) {
    const size_t n = std::min(kBlocksAtOnce, num_blocks - begin);
    const uint8_t* some = blocks + begin * shape.block_bytes();
    MaskLanes(shape, some, n, mask, lanes);
    for (size_t b = 0; b < n; ++b) {
      found->met += static_cast<size_t>(std::popcount(lanes[b]));
      found->blocks += lanes[b] != 0 ? 1 : 0;
    }
    LutScanMasked(shape, some, n, lanes, &query->scan);
    query->CutIfFull();
  }
}

}  // namespace

MaskedScan ScanListMasked(const LutScanShape& shape, const InvertedList& list, const SlotMask& mask,
                          QueryScan* query) {
  MaskedScan found;
  ScanBlocksMasked(shape, list.blocks, list.num_blocks, mask, query, &found);
  if (list.tail != nullptr) ScanBlocksMasked(shape, list.tail, 1, mask, query, &found);
  return found;
}

}  // namespace tessera
