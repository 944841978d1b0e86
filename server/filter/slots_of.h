#ifndef TESSERA_SERVER_FILTER_SLOTS_OF_H_
#define TESSERA_SERVER_FILTER_SLOTS_OF_H_

#include <roaring/roaring.hh>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// The members of a bitmap, ascending.
inline std::vector<Slot> SlotsOf(const Roaring& bitmap) {
  std::vector<Slot> slots(bitmap.cardinality());
  bitmap.toUint32Array(slots.data());
  return slots;
}

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_SLOTS_OF_H_
