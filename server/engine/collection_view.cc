#include "server/engine/collection_view.h"

namespace tessera {

std::vector<Slot> CollectionView::LiveSlots(Slot end) const {
  std::vector<Slot> slots;
  slots.reserve(end);
  for (Slot slot = 0; slot < end; ++slot) {
    if (!dead->Contains(slot)) slots.push_back(slot);
  }
  return slots;
}

}  // namespace tessera
