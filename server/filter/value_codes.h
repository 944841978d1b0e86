#ifndef TESSERA_SERVER_FILTER_VALUE_CODES_H_
#define TESSERA_SERVER_FILTER_VALUE_CODES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "index/base/entry_filter.h"
#include "index/base/slot_codes.h"
#include "server/filter/posting_tree.h"

namespace tessera {

// A code of 16 bits for the value of each slot of an index whose slots have one value: 0 for none,
// else in the order of the values. Some of the values are bounds, all of them if they are not too
// many; a bound has a code of its own, and so have all values between two bounds together. So a
// condition on values is one on codes, but for a few slots whose code does not tell.
//
// Bounds never change. Codes are set by the one writer, which has to make new ones when too many
// values have come between two bounds (IsCrowded). Shared by all versions of an index: each slot
// keeps its code as long as it has its point.
template <class Key>
class ValueCodes {
 public:
  using Entry = typename PostingTree<Key>::Entry;

  // Of all that a tree holds.
  explicit ValueCodes(const PostingTree<Key>& tree)
      : codes_(std::make_shared<SlotCodes>()), entries_at_first_(tree.entries()) {
    uint64_t between = 0;
    const uint64_t step = entries_at_first_ / kBounds;
    tree.ForEach([&](const Key& key, const Posting& posting) {
      // A value that many slots have is a bound, and else every so many entries there is one.
      between += posting.size();
      if (between <= step || bounds_.size() == kBounds) return;
      bounds_.push_back(key);
      between = 0;
    });
    counts_.resize(bounds_.size() + 1);
    tree.ForEach([&](const Key& key, const Posting& posting) {
      const uint16_t code = CodeOf(key);
      Count(code, posting.size());
      if (posting.many() == nullptr) {
        for (const Slot slot : posting.few()) codes_->Set(slot, code);
      } else {
        for (const Slot slot : *posting.many()) codes_->Set(slot, code);
      }
    });
  }

  // The writer's: `covered` get the values of `added`, or none.
  void Add(std::span<const Slot> covered, std::span<const Entry> added) {
    for (const Slot slot : covered) codes_->Set(slot, 0);
    for (const auto& [key, slot] : added) {
      const uint16_t code = CodeOf(key);
      codes_->Set(slot, code);
      Count(code, 1);
    }
    added_ += added.size();
  }
  // Whether codes made anew would tell so much more that they are worth it.
  bool IsCrowded() const {
    return added_ >= std::max<uint64_t>(kCrowdMin, entries_at_first_ / 8) &&
           crowd_max_ > std::max<uint64_t>(kCrowdMin, (entries_at_first_ + added_) / kCrowdShare);
  }

  // Has a test hold for the slots of a key.
  void AllowKey(const PostingTree<Key>& tree, const Key& key, EntryTest* test) const {
    const uint16_t code = CodeOf(key);
    if (IsBound(code)) {
      test->certain.Insert(code);
      return;
    }
    const Posting* posting = tree.Find(key);
    if (posting == nullptr) return;
    SlotParts some;
    some.Add(*posting);
    AllowSome(code, some, test);
  }

  // Has it hold for the slots of the keys between those for which `before` is true, which come
  // first, and those for which `after` is true, which come last.
  template <class Before, class After>
  void AllowRange(const PostingTree<Key>& tree, const Before& before, const After& after,
                  EntryTest* test) const {
    const auto begin = std::partition_point(bounds_.begin(), bounds_.end(), before);
    const auto end =
        std::partition_point(begin, bounds_.end(), [&](const Key& bound) { return !after(bound); });
    const auto first = static_cast<size_t>(begin - bounds_.begin());
    const auto last = static_cast<size_t>(end - bounds_.begin());
    if (begin == end) {
      SlotParts some;
      tree.AddRange(before, after, &some);
      AllowSome(Between(first), some, test);
      return;
    }
    test->certain.Insert(Bound(first), Bound(last - 1));
    SlotParts low;
    tree.AddRange(
        before, [&](const Key& key) { return key >= *begin; }, &low);
    AllowSome(Between(first), low, test);
    SlotParts high;
    tree.AddRange([&](const Key& key) { return key <= *(end - 1); }, after, &high);
    AllowSome(Between(last), high, test);
  }

  const std::shared_ptr<SlotCodes>& codes() const { return codes_; }
  size_t memory_bytes() const {
    return codes_->memory_bytes() + bounds_.capacity() * sizeof(Key) +
           counts_.capacity() * sizeof(counts_[0]);
  }

 private:
  // All codes stay below SlotCodes::kNoSlot.
  static constexpr size_t kBounds = 32'000;
  static constexpr uint64_t kCrowdMin = 1'024;
  static constexpr uint64_t kCrowdShare = 1'000;

  static uint16_t Between(size_t i) { return static_cast<uint16_t>(2 * i + 1); }
  static uint16_t Bound(size_t i) { return static_cast<uint16_t>(2 * i + 2); }
  static bool IsBound(uint16_t code) { return code % 2 == 0; }
  uint16_t CodeOf(const Key& key) const {
    const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), key);
    const auto i = static_cast<size_t>(at - bounds_.begin());
    return at != bounds_.end() && *at == key ? Bound(i) : Between(i);
  }
  void Count(uint16_t code, uint64_t slots) {
    if (IsBound(code)) return;
    crowd_max_ = std::max<uint64_t>(crowd_max_, counts_[code / 2] += static_cast<uint32_t>(slots));
  }
  static void AllowSome(uint16_t code, const SlotParts& slots, EntryTest* test) {
    if (slots.size() == 0) return;
    std::vector<Slot> list;
    slots.List(&list);
    test->possible.Insert(code);
    test->some.insert(test->some.end(), list.begin(), list.end());
  }

  std::vector<Key> bounds_;  // ascending
  const std::shared_ptr<SlotCodes> codes_;
  // The writer's.
  std::vector<uint32_t> counts_;  // by what lies between bounds: how many slots have come there
  uint64_t crowd_max_ = 0;        // the largest of them
  uint64_t entries_at_first_ = 0;
  uint64_t added_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_VALUE_CODES_H_
