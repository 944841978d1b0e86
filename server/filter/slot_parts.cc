#include "server/filter/slot_parts.h"

#include <algorithm>

#include "server/filter/dense_mask.h"

namespace tessera {
namespace {

// What making a container a bitset and counting it costs, in slots merged.
constexpr uint64_t kContainer = 4096;
constexpr uint64_t kContainerSlots = 65'536;

}  // namespace

Roaring SlotParts::Union() const {
  std::vector<Slot> sorted = ones_;
  std::sort(sorted.begin(), sorted.end());
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
  slots->resize(size_);
  Slot* end = slots->data();
  for (const Roaring* bitmap : bitmaps_) {
    bitmap->toUint32Array(end);
    end += bitmap->cardinality();
  }
  std::copy(ones_.begin(), ones_.end(), end);
}

void SlotParts::InsertInto(SlotMask* mask) const {
  DenseMaskWriter writer(mask);
  for (const Roaring* bitmap : bitmaps_) writer.Insert(*bitmap);
  for (Slot slot : ones_) {
    if (slot < mask->end()) mask->Insert(slot);
  }
}

}  // namespace tessera
