#ifndef TESSERA_INDEX_IVF_MASKED_SCAN_H_
#define TESSERA_INDEX_IVF_MASKED_SCAN_H_

#include <cstddef>

#include "index/base/slot_mask.h"
#include "index/ivf/query_scan.h"
#include "index/simd/lut_scan.h"

namespace tessera {

// As ScanList for one query, but only the slots of the mask count: a block of codes without one is
// passed over after a look at its slots. Returns how many vectors of the list are in the mask.
size_t ScanListMasked(const LutScanShape& shape, const InvertedList& list, const SlotMask& mask,
                      QueryScan* query);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_MASKED_SCAN_H_
