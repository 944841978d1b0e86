#ifndef TESSERA_INDEX_IVF_MASKED_SCAN_H_
#define TESSERA_INDEX_IVF_MASKED_SCAN_H_

#include <cstddef>

#include "index/base/entry_filter.h"
#include "index/base/slot_mask.h"
#include "index/base/slot_set.h"
#include "index/ivf/query_scan.h"
#include "index/simd/lut_scan.h"

namespace tessera {

// What a masked scan of a list came across.
struct MaskedScan {
  size_t met = 0;     // vectors of the list that are in the mask
  size_t blocks = 0;  // whose codes were read
};

// As ScanList for one query, but only the slots of the mask count: a block of codes without one is
// passed over after a look at its slots.
MaskedScan ScanListMasked(const LutScanShape& shape, const InvertedList& list, const SlotMask& mask,
                          QueryScan* query);
// The same of the entries that a filter allows, after a look at their codes.
MaskedScan ScanListFiltered(const LutScanShape& shape, const InvertedList& list,
                            const EntryFilter& filter, const SlotSet& deleted, QueryScan* query);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_MASKED_SCAN_H_
