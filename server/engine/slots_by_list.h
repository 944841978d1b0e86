#ifndef TESSERA_SERVER_ENGINE_SLOTS_BY_LIST_H_
#define TESSERA_SERVER_ENGINE_SLOTS_BY_LIST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "index/base/types.h"
#include "server/engine/slot_table.h"

namespace tessera {

// Slots by their inverted list: which lists hold some, how many, and which. Immutable.
class SlotsByList {
 public:
  // Null if the list of a slot is not below `nlist`.
  static std::shared_ptr<const SlotsByList> Make(std::span<const Slot> slots,
                                                 const SlotTable& table, size_t nlist);
  // The same with list_of[i] for the list of slots[i].
  static std::shared_ptr<const SlotsByList> Make(std::span<const Slot> slots,
                                                 std::span<const uint32_t> list_of, size_t nlist);

  // The slots of a list, in the order that they were given in.
  std::span<const Slot> of(uint32_t list) const {
    return {slots_.data() + begins_[list], begins_[list + 1] - begins_[list]};
  }
  // The lists that hold some.
  const std::vector<uint32_t>& lists() const { return lists_; }
  const std::vector<Slot>& slots() const { return slots_; }
  size_t nlist() const { return begins_.size() - 1; }

 private:
  SlotsByList(std::vector<uint32_t> begins, std::vector<uint32_t> lists, std::vector<Slot> slots)
      : begins_(std::move(begins)), lists_(std::move(lists)), slots_(std::move(slots)) {}

  const std::vector<uint32_t> begins_;  // where each list begins in slots_, and where the last ends
  const std::vector<uint32_t> lists_;
  const std::vector<Slot> slots_;
};

// Of slots, those in some inverted lists: what a single search needs, for less than it takes to
// sort all of them. Not thread-safe; keeps its memory from one use to the next.
class SlotsOfLists {
 public:
  // The slots, whose lists are read once, since they may change. False if one is not below `nlist`.
  bool SetSlots(std::span<const Slot> slots, const SlotTable& table, size_t nlist);
  // Of `slots`, as they were given to SetSlots, takes those in `lists`.
  void Fill(std::span<const Slot> slots, std::span<const Neighbor> lists);

  // The list of each slot.
  std::span<const uint32_t> list_of() const { return {list_of_.data(), count_}; }

  // The slots of one of the lists, in the order that they were given in.
  std::span<const Slot> of(uint32_t list) const {
    const size_t place = place_[list];
    return {slots_.data() + begins_[place], begins_[place + 1] - begins_[place]};
  }

 private:
  struct Found {
    uint32_t place;
    Slot slot;
  };

  std::vector<uint32_t> place_;   // of each list among those asked for, from 1 on; 0: not asked for
  std::vector<uint32_t> begins_;  // where each place begins in slots_, and where the last ends
  std::vector<Slot> slots_;
  std::vector<Found> found_;
  std::vector<uint32_t> list_of_;
  size_t count_ = 0;  // of slots
  size_t nlist_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_SLOTS_BY_LIST_H_
