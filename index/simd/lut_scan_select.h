#ifndef TESSERA_INDEX_SIMD_LUT_SCAN_SELECT_H_
#define TESSERA_INDEX_SIMD_LUT_SCAN_SELECT_H_

#include <cstddef>
#include <cstdint>

#include "index/base/types.h"
#include "index/simd/bound_guess.h"

namespace tessera {

// Keeps the smallest of n candidates, in the order that they have, and returns how many: at least
// `keep_min` and at most `keep_max` (keep_min <= keep_max < n), but for candidates that are equally
// far: those are kept together. hint->high becomes a bound between those kept and the others, which
// the next call for the same query begins with if no distance is above it.
//
// Distances must not be NaN or infinite, nor above hint->high. Both arrays must have room for
// kLutScanSlack elements beyond n, which are overwritten.
size_t KeepSmallest(float* distances, Slot* slots, size_t n, size_t keep_min, size_t keep_max,
                    BoundHint* hint);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_LUT_SCAN_SELECT_H_
