#include "index/ivf/entry_lanes.h"

#include <algorithm>
#include <bit>

#include "index/ivf/block_codes.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/query_scan.h"
#include "index/simd/code_lanes.h"

namespace tessera {
namespace {

// Lists whose codes are fetched ahead while entries are gathered, and before them the descriptors.
constexpr size_t kCodesAhead = 4;
constexpr size_t kDescriptorsAhead = 8;

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

void EntryGatherer::Find(const EntryFilter& filter, const LutScanShape& shape,
                         const BlockMemory& memory, const uint8_t* blocks, size_t num_blocks) {
  CodeScratch scratch;
  uint32_t certain[kEntryLanesBlocks];
  uint32_t possible[kEntryLanesBlocks];
  for (size_t begin = 0; begin < num_blocks; begin += kEntryLanesBlocks) {
    const size_t n = std::min(kEntryLanesBlocks, num_blocks - begin);
    const uint8_t* some = blocks + begin * shape.block_bytes();
    const uint16_t* codes = memory.Codes(filter.codes, shape, some, n, scratch.codes);
    CodeLanes(codes, n, filter.certain, certain);
    if (!filter.some.empty()) CodeLanes(codes, n, filter.possible, possible);
    for (size_t b = 0; b < n; ++b) {
      const uint32_t lanes = !filter.some.empty() ? certain[b] | possible[b] : certain[b];
      if (lanes == 0) continue;
      const Slot* slots = LutScanSlots(shape, some + b * shape.block_bytes());
      ForEachLane(lanes, [&](int lane) {
        __builtin_prefetch(slots + lane);
        found_.push_back({slots + lane, (certain[b] >> lane & 1) != 0});
      });
    }
  }
}

void EntryGatherer::Gather(const ListsSnapshot& lists, std::span<const Neighbor> which,
                           const EntryFilter& filter, const SlotSet& deleted,
                           std::vector<Slot>* slots) {
  const LutScanShape& shape = lists.tables().shape;
  found_.clear();
  for (size_t i = 0; i < which.size(); ++i) {
    if (i + kDescriptorsAhead < which.size()) {
      PrefetchDescriptor(lists, which[i + kDescriptorsAhead].slot);
    }
    if (i + kCodesAhead < which.size()) {
      PrefetchEntryCodes(filter, lists, which[i + kCodesAhead].slot);
    }
    const InvertedList& list = lists.list(which[i].slot);
    if (list.num_blocks > 0) Find(filter, shape, *list.blocks_owner, list.blocks, list.num_blocks);
    if (list.tail != nullptr) Find(filter, shape, *list.tail_owner, list.tail, 1);
  }
  // In a second turn, when the slots have come into the cache.
  for (const Found& found : found_) {
    const Slot slot = *found.slot;
    if (!found.certain && !filter.AllowsPossible(slot)) continue;
    if (deleted.size() > 0 && deleted.Contains(slot)) continue;
    slots->push_back(slot);
  }
}

}  // namespace tessera
