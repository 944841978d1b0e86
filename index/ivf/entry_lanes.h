#ifndef TESSERA_INDEX_IVF_ENTRY_LANES_H_
#define TESSERA_INDEX_IVF_ENTRY_LANES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/entry_filter.h"
#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/ivf/query_scan.h"
#include "index/simd/lut_scan.h"

namespace tessera {

class BlockMemory;
class ListsSnapshot;

// The most blocks that EntryLanes takes at once.
inline constexpr size_t kEntryLanesBlocks = kScanBlocksAtOnce;

// lanes[b] = which lanes of block b hold an entry that is allowed and not deleted. The blocks lie
// one after the other in `memory`.
void EntryLanes(const EntryFilter& filter, const LutScanShape& shape, const BlockMemory& memory,
                const uint8_t* blocks, size_t num_blocks, const SlotSet& deleted, uint32_t* lanes);

// Leaves the slots that meet all the terms, in their order.
void KeepAllowed(std::span<const EntryFilter::Term> terms, std::vector<Slot>* slots);

// Has the codes of a list come into the cache, if they are kept.
void PrefetchEntryCodes(const EntryFilter& filter, const ListsSnapshot& lists, size_t list);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_ENTRY_LANES_H_
