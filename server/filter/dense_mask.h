#ifndef TESSERA_SERVER_FILTER_DENSE_MASK_H_
#define TESSERA_SERVER_FILTER_DENSE_MASK_H_

#include <roaring/roaring.hh>

#include "index/base/slot_mask.h"

namespace tessera {

// The slots of the bitmap that are below `end`, one bit each. Goes by the bitmap's portable format
// (RoaringFormatSpec), in which dense parts are bits already: a million slots cost some 20 us.
SlotMask MakeDenseMask(const Roaring& slots, Slot end);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_DENSE_MASK_H_
