#include "index/ivf/entry_lanes.h"

#include <algorithm>
#include <bit>

#include "index/ivf/block_codes.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/query_scan.h"
#include "index/simd/code_lanes.h"

namespace tessera {
namespace {

// Codes that are not kept beside the blocks.
struct alignas(64) CodeScratch {
  uint16_t codes[kEntryLanesBlocks * kLutScanBlockVectors];
};

template <class Visit>
void ForEachLane(uint32_t lanes, const Visit& visit) {
  for (; lanes != 0; lanes &= lanes - 1) visit(std::countr_zero(lanes));
}

}  // namespace

void EntryLanes(const EntryFilter& filter, const LutScanShape& shape, const BlockMemory& memory,
                const uint8_t* blocks, size_t num_blocks, const SlotSet& deleted, uint32_t* lanes) {
  CodeScratch scratch;
  const uint16_t* codes = memory.Codes(filter.codes, shape, blocks, num_blocks, scratch.codes);
  CodeLanes(codes, num_blocks, filter.certain, lanes);
  const auto slots = [&](size_t b) {
    return LutScanSlots(shape, blocks + b * shape.block_bytes());
  };
  if (!filter.some.empty()) {
    uint32_t possible[kEntryLanesBlocks];
    CodeLanes(codes, num_blocks, filter.possible, possible);
    for (size_t b = 0; b < num_blocks; ++b) {
      ForEachLane(possible[b] & ~lanes[b], [&](int lane) {
        if (filter.AllowsPossible(slots(b)[lane])) lanes[b] |= uint32_t{1} << lane;
      });
    }
  }
  if (deleted.size() == 0) return;
  for (size_t b = 0; b < num_blocks; ++b) {
    ForEachLane(lanes[b], [&](int lane) {
      if (deleted.Contains(slots(b)[lane])) lanes[b] &= ~(uint32_t{1} << lane);
    });
  }
}

void PrefetchEntryCodes(const EntryFilter& filter, const ListsSnapshot& lists, size_t list) {
  const InvertedList& l = lists.list(list);
  if (l.num_blocks > 0) {
    l.blocks_owner->FetchCodes(filter.codes.get(), l.blocks,
                               std::min<size_t>(l.num_blocks, kEntryLanesBlocks));
  }
  if (l.tail != nullptr) l.tail_owner->FetchCodes(filter.codes.get(), l.tail, 1);
}

}  // namespace tessera
