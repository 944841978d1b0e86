#include "index/ivf/entry_lanes.h"

#include <algorithm>
#include <bit>
#include <iterator>

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

// Takes out of `lanes` those whose entries do not meet the term. slot_at(b, lane): of block b.
// Returns whether any are left.
template <class SlotAt>
bool NarrowLanes(const EntryFilter::Term& term, const uint16_t* codes, size_t num_blocks,
                 const SlotAt& slot_at, uint32_t* lanes) {
  const EntryTest& test = *term.test;
  uint32_t holds[kEntryLanesBlocks];
  CodeLanes(codes, num_blocks, test.certain, holds);
  if (!test.some.empty()) {
    uint32_t possible[kEntryLanesBlocks];
    CodeLanes(codes, num_blocks, test.possible, possible);
    for (size_t b = 0; b < num_blocks; ++b) {
      ForEachLane(lanes[b] & possible[b] & ~holds[b], [&](int lane) {
        if (test.HoldsPossible(slot_at(b, lane))) holds[b] |= uint32_t{1} << lane;
      });
    }
  }
  uint32_t left = 0;
  for (size_t b = 0; b < num_blocks; ++b) left |= lanes[b] &= term.negated ? ~holds[b] : holds[b];
  return left != 0;
}

}  // namespace

void EntryLanes(const EntryFilter& filter, const LutScanShape& shape, const BlockMemory& memory,
                const uint8_t* blocks, size_t num_blocks, const SlotSet& deleted, uint32_t* lanes) {
  CodeScratch scratch;
  const auto slots = [&](size_t b) {
    return LutScanSlots(shape, blocks + b * shape.block_bytes());
  };
  const auto slot_at = [&](size_t b, int lane) { return slots(b)[lane]; };
  std::fill_n(lanes, num_blocks, ~uint32_t{0});
  for (const EntryFilter::Term& term : filter.terms) {
    const uint16_t* codes =
        memory.Codes(term.test->codes, shape, blocks, num_blocks, scratch.codes);
    if (!NarrowLanes(term, codes, num_blocks, slot_at, lanes)) return;
  }
  if (deleted.size() == 0) return;
  for (size_t b = 0; b < num_blocks; ++b) {
    ForEachLane(lanes[b], [&](int lane) {
      if (deleted.Contains(slots(b)[lane])) lanes[b] &= ~(uint32_t{1} << lane);
    });
  }
}

void KeepAllowed(std::span<const EntryFilter::Term> terms, std::vector<Slot>* slots) {
  CodeScratch scratch;
  size_t kept = 0;
  for (size_t begin = 0; begin < slots->size();) {
    const size_t n = std::min(std::size(scratch.codes), slots->size() - begin);
    const size_t blocks = (n + kLutScanBlockVectors - 1) / kLutScanBlockVectors;
    const Slot* some = slots->data() + begin;
    uint32_t lanes[kEntryLanesBlocks];
    std::fill_n(lanes, blocks, ~uint32_t{0});
    if (n % kLutScanBlockVectors != 0) lanes[blocks - 1] >>= -n % kLutScanBlockVectors;
    for (const EntryFilter::Term& term : terms) {
      term.test->codes->Read({some, n}, scratch.codes);
      std::fill(scratch.codes + n, scratch.codes + blocks * kLutScanBlockVectors, uint16_t{0});
      const auto slot_at = [&](size_t b, int lane) {
        return some[b * kLutScanBlockVectors + static_cast<size_t>(lane)];
      };
      if (!NarrowLanes(term, scratch.codes, blocks, slot_at, lanes)) break;
    }
    for (size_t b = 0; b < blocks; ++b) {
      ForEachLane(lanes[b], [&](int lane) {
        (*slots)[kept++] = some[b * kLutScanBlockVectors + static_cast<size_t>(lane)];
      });
    }
    begin += n;
  }
  slots->resize(kept);
}

void PrefetchEntryCodes(const EntryFilter& filter, const ListsSnapshot& lists, size_t list) {
  const InvertedList& l = lists.list(list);
  for (const EntryFilter::Term& term : filter.terms) {
    const SlotCodes* codes = term.test->codes.get();
    if (l.num_blocks > 0) {
      l.blocks_owner->FetchCodes(codes, l.blocks,
                                 std::min<size_t>(l.num_blocks, kEntryLanesBlocks));
    }
    if (l.tail != nullptr) l.tail_owner->FetchCodes(codes, l.tail, 1);
  }
}

}  // namespace tessera
