#ifndef TESSERA_SERVER_FILTER_POSTING_H_
#define TESSERA_SERVER_FILTER_POSTING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <span>
#include <utility>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// The slots of one value: immutable, cheap to copy. A few slots cost no allocation, and a copy of
// them no access to shared memory: most values of most fields have no more, and a change of an
// index copies those next to it.
class Posting {
 public:
  Posting() {}
  // `slots` are sorted and different.
  explicit Posting(std::span<const Slot> slots) : size_(static_cast<uint32_t>(slots.size())) {
    if (size_ <= kFew) {
      std::copy(slots.begin(), slots.end(), few_);
    } else {
      new (&many_) Many(std::make_shared<const Roaring>(slots.size(), slots.data()));
    }
  }
  explicit Posting(Roaring slots) : size_(static_cast<uint32_t>(slots.cardinality())) {
    if (size_ <= kFew) {
      slots.toUint32Array(few_);
    } else {
      new (&many_) Many(std::make_shared<const Roaring>(std::move(slots)));
    }
  }
  Posting(const Posting& other) : size_(other.size_) {
    if (size_ <= kFew) {
      std::copy_n(other.few_, kFew, few_);
    } else {
      new (&many_) Many(other.many_);
    }
  }
  Posting(Posting&& other) noexcept : size_(std::exchange(other.size_, 0)) {
    if (size_ <= kFew) {
      std::copy_n(other.few_, kFew, few_);
    } else {
      new (&many_) Many(std::move(other.many_));
      other.many_.~Many();
      std::fill_n(other.few_, kFew, 0);
    }
  }
  Posting& operator=(Posting other) noexcept {
    this->~Posting();
    new (this) Posting(std::move(other));
    return *this;
  }
  ~Posting() {
    if (size_ > kFew) many_.~Many();
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  void AddTo(Roaring* slots) const {
    if (size_ > kFew) {
      *slots |= *many_;
    } else {
      slots->addMany(size_, few_);
    }
  }
  // Null where the slots are few.
  const Roaring* many() const { return size_ > kFew ? many_.get() : nullptr; }
  // The slots, ascending, where they are few; else none.
  std::span<const Slot> few() const { return {few_, size_ > kFew ? 0 : size_}; }
  size_t CountIn(const Roaring& slots) const {
    if (size_ > kFew) return many_->and_cardinality(slots);
    return static_cast<size_t>(
        std::count_if(few_, few_ + size_, [&](Slot slot) { return slots.contains(slot); }));
  }

  Posting With(std::span<const Slot> added, std::span<const Slot> removed) const {
    if (size_ <= kFew && added.size() <= kFew) return FewWith(added, removed);
    Roaring slots;
    AddTo(&slots);
    for (Slot slot : removed) slots.remove(slot);
    slots.addMany(added.size(), added.data());
    return Posting(std::move(slots));
  }
  Posting Without(const Roaring& slots) const {
    if (size_ > kFew) return many_->intersect(slots) ? Posting(*many_ - slots) : *this;
    Slot left[kFew];
    const Slot* end =
        std::copy_if(few_, few_ + size_, left, [&](Slot slot) { return !slots.contains(slot); });
    return Posting(std::span<const Slot>(left, end));
  }
  size_t memory_bytes() const {
    return sizeof(*this) + (size_ <= kFew ? 0 : many_->getSizeInBytes() + sizeof(Roaring));
  }

 private:
  using Many = std::shared_ptr<const Roaring>;
  // As many as lie in the bytes of the pointer.
  static constexpr size_t kFew = sizeof(Many) / sizeof(Slot);

  Posting FewWith(std::span<const Slot> added, std::span<const Slot> removed) const {
    Slot slots[2 * kFew];
    Slot* end = std::copy_if(few_, few_ + size_, slots, [&](Slot slot) {
      return std::find(removed.begin(), removed.end(), slot) == removed.end();
    });
    end = std::copy(added.begin(), added.end(), end);
    std::sort(slots, end);
    return Posting(std::span<const Slot>(slots, std::unique(slots, end)));
  }

  uint32_t size_ = 0;
  union {
    Slot few_[kFew] = {};
    Many many_;
  };
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_POSTING_H_
