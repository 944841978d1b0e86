// The range of floats. Included once per target.

#if defined(TESSERA_INDEX_SIMD_RANGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_RANGE_INL_H_
#undef TESSERA_INDEX_SIMD_RANGE_INL_H_
#else
#define TESSERA_INDEX_SIMD_RANGE_INL_H_
#endif

#include <cstddef>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct Range {
  float least;
  float most;
};

// Of n > 0 finite values.
HWY_INLINE Range RangeOf(const float* HWY_RESTRICT values, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  if (n < lanes) {
    Range range = {values[0], values[0]};
    for (size_t i = 1; i < n; ++i) {
      range.least = values[i] < range.least ? values[i] : range.least;
      range.most = values[i] > range.most ? values[i] : range.most;
    }
    return range;
  }
  // The last whole vector comes first: it holds the rest that the others leave.
  auto least = hn::LoadU(d, values + n - lanes), most = least;
  for (size_t i = 0; i + lanes <= n; i += lanes) {
    const auto next = hn::LoadU(d, values + i);
    least = hn::Min(least, next);
    most = hn::Max(most, next);
  }
  return {hn::GetLane(hn::MinOfLanes(d, least)), hn::GetLane(hn::MaxOfLanes(d, most))};
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // TESSERA_INDEX_SIMD_RANGE_INL_H_
