#include "index/ivf/masked_scan.h"

#include <algorithm>
#include <bit>

#include "index/ivf/entry_lanes.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/lane_mask.h"

namespace tessera {
namespace {

// lanes_of(memory, blocks, n, lanes) says which lanes of `n` blocks count.
template <class LanesOf>
void ScanBlocksMasked(const LutScanShape& shape, const BlockMemory* memory, const uint8_t* blocks,
                      size_t num_blocks, const LanesOf& lanes_of, QueryScan* query,
                      MaskedScan* found) {
  uint32_t lanes[kScanBlocksAtOnce];
  for (size_t begin = 0; begin < num_blocks; begin += kScanBlocksAtOnce) {
    const size_t n = std::min(kScanBlocksAtOnce, num_blocks - begin);
    const uint8_t* some = blocks + begin * shape.block_bytes();
    lanes_of(memory, some, n, lanes);
    for (size_t b = 0; b < n; ++b) {
      found->met += static_cast<size_t>(std::popcount(lanes[b]));
      found->blocks += lanes[b] != 0 ? 1 : 0;
    }
    LutScanMasked(shape, some, n, lanes, &query->scan);
    query->CutIfFull();
  }
}

template <class LanesOf>
MaskedScan ScanMasked(const LutScanShape& shape, const InvertedList& list, const LanesOf& lanes_of,
                      QueryScan* query) {
  MaskedScan found;
  ScanBlocksMasked(shape, list.blocks_owner.get(), list.blocks, list.num_blocks, lanes_of, query,
                   &found);
  if (list.tail != nullptr) {
    ScanBlocksMasked(shape, list.tail_owner.get(), list.tail, 1, lanes_of, query, &found);
  }
  return found;
}

}  // namespace

MaskedScan ScanListMasked(const LutScanShape& shape, const InvertedList& list, const SlotMask& mask,
                          QueryScan* query) {
  return ScanMasked(
      shape, list,
      [&](const BlockMemory*, const uint8_t* blocks, size_t n, uint32_t* lanes) {
        MaskLanes(shape, blocks, n, mask, lanes);
      },
      query);
}

MaskedScan ScanListFiltered(const LutScanShape& shape, const InvertedList& list,
                            const EntryFilter& filter, const SlotSet& deleted, QueryScan* query) {
  return ScanMasked(
      shape, list,
      [&](const BlockMemory* memory, const uint8_t* blocks, size_t n, uint32_t* lanes) {
        EntryLanes(filter, shape, *memory, blocks, n, deleted, lanes);
      },
      query);
}

}  // namespace tessera
