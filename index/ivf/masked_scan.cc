#include "index/ivf/masked_scan.h"

#include <algorithm>

#include "index/ivf/lists_snapshot.h"

namespace tessera {
namespace {

constexpr size_t kBlocksAtOnce = 16;  // as many as QueryScan has room for

// How many vectors of a block are in the mask.
size_t CountInBlock(const LutScanShape& shape, const uint8_t* block, const SlotMask& mask) {
  const Slot* slots = LutScanSlots(shape, block);
  size_t count = 0;
  for (size_t lane = 0; lane < kLutScanBlockVectors; ++lane) count += mask.Contains(slots[lane]);
  return count;
}

void ScanRun(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
             const SlotMask& mask, QueryScan* query) {
  LutScanQuery& scan = query->scan;
  const size_t begin = scan.count;
  LutScan(shape, blocks, num_blocks, &scan, 1);
  size_t kept = begin;
  for (size_t i = begin; i < scan.count; ++i) {
    scan.slots[kept] = scan.slots[i];
    scan.distances[kept] = scan.distances[i];
    kept += mask.Contains(scan.slots[i]) ? 1 : 0;
  }
  scan.count = kept;
  query->CutIfFull();
}

size_t ScanBlocksMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                        const SlotMask& mask, QueryScan* query) {
  const size_t block_bytes = shape.block_bytes();
  size_t in_mask = 0;
  size_t run_begin = 0;  // blocks [run_begin, b) are to be scanned
  for (size_t b = 0; b < num_blocks; ++b) {
    const size_t count = CountInBlock(shape, blocks + b * block_bytes, mask);
    in_mask += count;
    if (count == 0 || b - run_begin == kBlocksAtOnce) {
      if (b > run_begin)
        ScanRun(shape, blocks + run_begin * block_bytes, b - run_begin, mask, query);
      run_begin = count == 0 ? b + 1 : b;
    }
  }
  if (num_blocks > run_begin) {
    ScanRun(shape, blocks + run_begin * block_bytes, num_blocks - run_begin, mask, query);
  }
  return in_mask;
}

}  // namespace

size_t ScanListMasked(const LutScanShape& shape, const InvertedList& list, const SlotMask& mask,
                      QueryScan* query) {
  size_t in_mask = ScanBlocksMasked(shape, list.blocks, list.num_blocks, mask, query);
  if (list.tail != nullptr) in_mask += ScanBlocksMasked(shape, list.tail, 1, mask, query);
  return in_mask;
}

}  // namespace tessera
