#include "server/filter/slot_parts.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "server/filter/dense_mask.h"

namespace tessera {
namespace {

// What making a container a bitset and counting it costs, in slots merged.
constexpr uint64_t kContainer = 4096;
constexpr uint64_t kContainerSlots = 65'536;

// In three passes of 11 bits where that is faster than comparing.
void SortSlots(std::vector<Slot>* slots) {
  constexpr size_t kFewSlots = 1'024;
  constexpr uint32_t kBits = 11;
  constexpr size_t kBuckets = size_t{1} << kBits;
  if (slots->size() < kFewSlots) {
    std::sort(slots->begin(), slots->end());
    return;
  }
  std::vector<Slot> sorted(slots->size());
  for (uint32_t shift = 0; shift < 32; shift += kBits) {
    std::array<size_t, kBuckets> next{};
    const auto bucket = [&](Slot slot) { return (slot >> shift) % kBuckets; };
    for (const Slot slot : *slots) ++next[bucket(slot)];
    std::exclusive_scan(next.begin(), next.end(), next.begin(), size_t{0});
    for (const Slot slot : *slots) sorted[next[bucket(slot)]++] = slot;
    slots->swap(sorted);
  }
}

}  // namespace

SlotParts SlotParts::Flat() const {
  SlotParts flat;
  flat.bitmaps_ = bitmaps_;
  flat.ones_ = ones_;
  flat.size_ = size_ - groups_size_;
  for (const SlotGroup* group : groups_) group->AddTo(&flat);
  return flat;
}

Roaring SlotParts::Union() const {
  if (!groups_.empty()) return Flat().Union();
  std::vector<Slot> sorted = ones_;
  SortSlots(&sorted);
  Roaring slots(sorted.size(), sorted.data());
  uint64_t sum = 0;
  uint64_t last = 0;
  for (const Roaring* bitmap : bitmaps_) {
    sum += bitmap->cardinality();
    last = std::max<uint64_t>(last, bitmap->maximum());
  }
  // One by one, those that came first are merged again and again; in one go, all become bitsets.
  if (sum / 2 * bitmaps_.size() <= sum + kContainer * (last / kContainerSlots + 1)) {
    for (const Roaring* bitmap : bitmaps_) slots |= *bitmap;
    return slots;
  }
  std::vector<const Roaring*> all = bitmaps_;
  all.push_back(&slots);
  return Roaring::fastunion(all.size(), all.data());
}

void SlotParts::List(std::vector<Slot>* slots) const {
  if (!groups_.empty()) return Flat().List(slots);
  slots->resize(size_);
  Slot* end = slots->data();
  for (const Roaring* bitmap : bitmaps_) {
    bitmap->toUint32Array(end);
    end += bitmap->cardinality();
  }
  std::copy(ones_.begin(), ones_.end(), end);
}

void SlotParts::InsertInto(SlotMask* mask) const {
  if (!groups_.empty()) return Flat().InsertInto(mask);
  DenseMaskWriter writer(mask);
  for (const Roaring* bitmap : bitmaps_) writer.Insert(*bitmap);
  for (Slot slot : ones_) {
    if (slot < mask->end()) mask->Insert(slot);
  }
}

}  // namespace tessera
