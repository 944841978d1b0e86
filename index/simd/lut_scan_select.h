#ifndef TESSERA_INDEX_SIMD_LUT_SCAN_SELECT_H_
#define TESSERA_INDEX_SIMD_LUT_SCAN_SELECT_H_

#include <cstddef>
#include <cstdint>

#include "index/base/types.h"
#include "index/simd/bound_guess.h"

namespace tessera {

// How many of n distances are at most `bound`.
size_t CountNear(const float* distances, size_t n, float bound);

// The largest of n > 0 finite distances.
float Farthest(const float* distances, size_t n);

// The mean of the kNearestOfMean least of n > 0 distances, or of all if there are fewer. Anything
// if one is NaN.
inline constexpr size_t kNearestOfMean = 4;
double MeanOfNearest(const float* distances, size_t n);

// The following keep some of n candidates, in the order that they have, and return how many.
// Distances must not be NaN. Both arrays must have room for kLutScanSlack elements beyond n, which
// are overwritten.

// Keeps those that are at most `bound` far.
size_t KeepUpTo(float* distances, Slot* slots, size_t n, float bound);

// Keeps the smallest: at least `keep_min` and at most `keep_max` (keep_min <= keep_max < n), but
// for candidates that are equally far: those are kept together. hint->high becomes a bound between
// those kept and the others, which the next call for the same query begins with if no distance is
// above it. Distances must be finite, and none above hint->high.
size_t KeepSmallest(float* distances, Slot* slots, size_t n, size_t keep_min, size_t keep_max,
                    BoundHint* hint);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_LUT_SCAN_SELECT_H_
