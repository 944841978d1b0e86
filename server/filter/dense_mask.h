#ifndef TESSERA_SERVER_FILTER_DENSE_MASK_H_
#define TESSERA_SERVER_FILTER_DENSE_MASK_H_

#include <roaring/roaring.hh>
#include <vector>

#include "index/base/slot_mask.h"

namespace tessera {

// Adds bitmaps to a mask. Goes by their portable format (RoaringFormatSpec), in which dense parts
// are bits already: a million slots cost some 20 us. Not thread-safe.
class DenseMaskWriter {
 public:
  explicit DenseMaskWriter(SlotMask* mask) : mask_(mask) {}

  // Slots from the mask's end on are left out.
  void Insert(const Roaring& slots);

 private:
  SlotMask* const mask_;
  std::vector<char> bytes_;
};

// The slots of the bitmap that are below `end`, one bit each.
SlotMask MakeDenseMask(const Roaring& slots, Slot end);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_DENSE_MASK_H_
