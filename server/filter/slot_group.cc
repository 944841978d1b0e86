#include "server/filter/slot_group.h"

#include "server/filter/slot_parts.h"

namespace tessera {

const Roaring* SharedSlotGroup::Union() const {
  if (!asked_.exchange(true, std::memory_order_relaxed)) return nullptr;
  // Kept as long as this, so that the pointer stays good.
  return union_
      .Get([this] {
        SlotParts parts;
        AddPartsTo(&parts);
        return std::make_shared<const Roaring>(parts.Union());
      })
      .get();
}

void SharedSlotGroup::AddTo(SlotParts* parts) const {
  if (const Roaring* all = Union()) {
    parts->Add(*all);
  } else {
    AddPartsTo(parts);
  }
}

}  // namespace tessera
