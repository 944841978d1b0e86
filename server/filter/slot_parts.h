#ifndef TESSERA_SERVER_FILTER_SLOT_PARTS_H_
#define TESSERA_SERVER_FILTER_SLOT_PARTS_H_

#include <cstdint>
#include <roaring/roaring.hh>
#include <span>
#include <vector>

#include "index/base/slot_mask.h"
#include "index/base/types.h"
#include "server/filter/posting.h"
#include "server/filter/slot_group.h"

namespace tessera {

// A set of slots as parts that an index holds. A search mostly needs a list or a mask of them: each
// is made of the parts in one go, for less than it takes to merge the parts first.
//
// Refers to the index, which must outlive it. Immutable and thread-safe once it is filled.
class SlotParts {
 public:
  void Add(const Posting& posting) {
    if (posting.many() != nullptr) {
      Add(*posting.many(), posting.size());
    } else {
      for (const Slot slot : posting.few()) ones_.push_back(slot);
      size_ += posting.size();
    }
  }
  void Add(const Roaring& slots) { Add(slots, slots.cardinality()); }
  void Add(std::span<const Slot> slots) {
    ones_.insert(ones_.end(), slots.begin(), slots.end());
    size_ += slots.size();
  }
  // `size`: how many slots its values have together.
  void Add(const SlotGroup& group, uint64_t size) {
    groups_.push_back(&group);
    groups_size_ += size;
    size_ += size;
  }

  // The sizes of the parts: how many slots there are, if no two parts have one in common.
  uint64_t size() const { return size_; }

  Roaring Union() const;
  // Each bitmap ascending, one after the other; then what else there is.
  void List(std::vector<Slot>* slots) const;
  // Slots from the mask's end on are left out.
  void InsertInto(SlotMask* mask) const;

 private:
  void Add(const Roaring& slots, uint64_t size) {
    bitmaps_.push_back(&slots);
    size_ += size;
  }
  // The same without groups.
  SlotParts Flat() const;

  std::vector<const SlotGroup*> groups_;
  uint64_t groups_size_ = 0;
  std::vector<const Roaring*> bitmaps_;
  std::vector<Slot> ones_;
  uint64_t size_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_SLOT_PARTS_H_
