#ifndef TESSERA_INDEX_IVF_ENTRY_FILTER_H_
#define TESSERA_INDEX_IVF_ENTRY_FILTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/base/slot_codes.h"
#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/simd/code_set.h"
#include "index/simd/lut_scan.h"

namespace tessera {

class BlockMemory;
class ListsSnapshot;

// Which entries of the lists are allowed, told by their slots' codes, so that only the lists that
// are scanned cost anything. Immutable and thread-safe once it is filled; both sets are finished.
struct EntryFilter {
  std::shared_ptr<const SlotCodes> codes;
  CodeSet certain;   // with these codes entries are allowed
  CodeSet possible;  // with others than these they are not
  // Whether some codes are possible and not certain: of their slots, those in `some` (sorted) are
  // allowed, or all others are.
  bool has_some = false;
  bool allows_some = true;
  std::vector<Slot> some;

  bool AllowsPossible(Slot slot) const;
  // Makes it allow all that it does not, and nothing of what it does.
  void Negate();
};

// The most blocks that EntryLanes takes at once.
inline constexpr size_t kEntryLanesBlocks = 16;

// lanes[b] = which lanes of block b hold an entry that is allowed and not deleted. The blocks lie
// one after the other in `memory`.
void EntryLanes(const EntryFilter& filter, const LutScanShape& shape, const BlockMemory& memory,
                const uint8_t* blocks, size_t num_blocks, const SlotSet& deleted, uint32_t* lanes);

// Has the codes of a list come into the cache, if they are kept.
void PrefetchEntryCodes(const EntryFilter& filter, const ListsSnapshot& lists, size_t list);

// Collects the slots of allowed entries of some lists, in the order of the lists. Keeps its memory
// from one use to the next; not thread-safe.
class EntryGatherer {
 public:
  void Gather(const ListsSnapshot& lists, std::span<const Neighbor> which,
              const EntryFilter& filter, const SlotSet& deleted, std::vector<Slot>* slots);

 private:
  struct Found {
    const Slot* slot;
    bool certain;
  };
  void Find(const EntryFilter& filter, const LutScanShape& shape, const BlockMemory& memory,
            const uint8_t* blocks, size_t num_blocks);

  std::vector<Found> found_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_ENTRY_FILTER_H_
