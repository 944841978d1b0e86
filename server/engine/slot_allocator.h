#ifndef TESSERA_SERVER_ENGINE_SLOT_ALLOCATOR_H_
#define TESSERA_SERVER_ENGINE_SLOT_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "index/base/slot_set.h"
#include "index/base/types.h"

namespace tessera {

// Gives slots to points, and gives the slots of deleted points again.
//
// A slot may be given again only when nothing can lead from it to the point that it had: its
// records are deleted from the store, no inverted list has an entry of it, and no search holds a
// view in which that point exists. The caller retires a slot once the first two hold; Reclaim()
// frees it once the third does. Not thread-safe: it belongs to the writer.
class SlotAllocator {
 public:
  // Starts over: slots below `end` have been given, of which `free` can be given again. Those held
  // stay so.
  void Reset(uint64_t end, const std::vector<Slot>& free);

  // All slots in use are below it. It falls when the highest slots are free.
  uint64_t end() const { return end_; }
  // How many more points there is room for.
  uint64_t room() const;

  // The lowest free slot. There must be room.
  Slot Take();
  // Takes back slots of a write that was not committed.
  void Return(const std::vector<Slot>& slots);

  // `slots` are in no list; views from `epoch` on, which never decreases, do not show their points.
  void Retire(std::vector<Slot> slots, uint64_t epoch);
  // Frees the retired slots that no view from `oldest_epoch` on can lead to, telling of each.
  void Reclaim(uint64_t oldest_epoch, const std::function<void(Slot)>& freed);

  // The records of these slots are still in the store, though their points are gone: they are not
  // freed, whatever else holds, before they have been released.
  void Hold(std::span<const Slot> slots);
  // Their records are gone; `epoch` as for Retire: views before it show the slots as held.
  void Release(std::span<const Slot> slots, uint64_t epoch);
  const SlotSet& held() const { return held_; }
  std::shared_ptr<const SlotSet> HeldSnapshot() { return held_.Snapshot(); }

  // Takes back the retirement of those slots in `slots` that are not freed yet: new lists have
  // entries of them.
  void Withdraw(const SlotSet& slots);

  // While reuse is off, nothing is freed and only slots that were never given are taken: a slot
  // keeps its point or loses it, but never has another.
  void SetReuse(bool reuse) { reuse_ = reuse; }

 private:
  struct Retired {
    uint64_t epoch;
    std::vector<Slot> slots;
  };

  bool IsFree(uint64_t slot) const { return (free_[slot / 64] >> (slot % 64) & 1) != 0; }
  void Free(Slot slot);
  void LowerEnd();

  uint64_t end_ = 0;
  bool reuse_ = true;
  std::vector<uint64_t> free_;  // a bit for each slot below end_
  uint64_t free_count_ = 0;
  size_t first_word_ = 0;  // of free_: those before it have no bit set
  std::deque<Retired> retired_;
  SlotSet held_;
  std::deque<Retired> released_;
  SlotSet kept_;  // those held, and those released that a view may still show as held
  SlotSet ripe_;  // of kept_, those that could be freed else
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_SLOT_ALLOCATOR_H_
