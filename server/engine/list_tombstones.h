#ifndef TESSERA_SERVER_ENGINE_LIST_TOMBSTONES_H_
#define TESSERA_SERVER_ENGINE_LIST_TOMBSTONES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "index/base/slot_set.h"
#include "index/base/types.h"

namespace tessera {

// The dead entries of the inverted lists, and which lists have so many that they should be
// compacted. Not thread-safe: it belongs to the writer.
class ListTombstones {
 public:
  // No list has any.
  void Reset(size_t nlist);

  // The entry of `slot` in a list of `list_size` entries, dead ones included, is dead.
  void Add(Slot slot, uint32_t list, size_t list_size);
  // The list is to be compacted, however few they are.
  void Queue(uint32_t list);
  // The next list that is to be compacted; it counts as compacted from then on.
  std::optional<uint32_t> NextList();
  bool HasWork() const { return !waiting_.empty(); }
  // Compaction has removed these entries.
  void Remove(std::span<const Slot> slots);
  // The lists from `begin` to before `end` have been compacted too.
  void ResetCounts(uint32_t begin, uint32_t end);

  const SlotSet& slots() const { return slots_; }
  uint32_t count(uint32_t list) const { return counts_[list]; }

 private:
  SlotSet slots_;
  std::vector<uint32_t> counts_;  // by list
  std::vector<bool> queued_;      // by list
  std::deque<uint32_t> waiting_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_LIST_TOMBSTONES_H_
