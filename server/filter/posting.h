#ifndef TESSERA_SERVER_FILTER_POSTING_H_
#define TESSERA_SERVER_FILTER_POSTING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <span>
#include <utility>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// The slots of one value: immutable, cheap to copy. One slot alone costs no allocation, so that
// fields whose values are all different stay small.
class Posting {
 public:
  Posting() = default;
  // `slots` are sorted and different.
  explicit Posting(std::span<const Slot> slots) {
    size_ = static_cast<uint32_t>(slots.size());
    if (slots.size() == 1) {
      one_ = slots[0];
    } else if (slots.size() > 1) {
      many_ = std::make_shared<const Roaring>(slots.size(), slots.data());
    }
  }

  explicit Posting(Roaring slots) {
    size_ = static_cast<uint32_t>(slots.cardinality());
    if (size_ == 1) {
      one_ = slots.minimum();
    } else if (size_ > 1) {
      many_ = std::make_shared<const Roaring>(std::move(slots));
    }
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  void AddTo(Roaring* slots) const {
    if (many_ != nullptr) {
      *slots |= *many_;
    } else if (!empty()) {
      slots->add(one_);
    }
  }
  // Null where the slots are none, or one.
  const Roaring* many() const { return many_.get(); }
  // The slot of a posting that has only one.
  Slot one() const { return one_; }
  size_t CountIn(const Roaring& slots) const {
    if (many_ != nullptr) return many_->and_cardinality(slots);
    return !empty() && slots.contains(one_) ? 1 : 0;
  }

  Posting With(std::span<const Slot> added, std::span<const Slot> removed) const {
    Roaring slots;
    AddTo(&slots);
    for (Slot slot : removed) slots.remove(slot);
    slots.addMany(added.size(), added.data());
    return Posting(std::move(slots));
  }
  Posting Without(const Roaring& slots) const {
    if (many_ == nullptr) return !empty() && slots.contains(one_) ? Posting() : *this;
    return many_->intersect(slots) ? Posting(*many_ - slots) : *this;
  }
  size_t memory_bytes() const {
    return sizeof(*this) + (many_ == nullptr ? 0 : many_->getSizeInBytes() + sizeof(Roaring));
  }

 private:
  Slot one_ = kInvalidSlot;
  uint32_t size_ = 0;  // a bitmap would count it anew each time
  std::shared_ptr<const Roaring> many_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_POSTING_H_
