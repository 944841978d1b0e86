#include "index/simd/lut_scan_select.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/lut_scan_select.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/simd/bound_search-inl.h"
#include "index/simd/range-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;

float Farthest(const float* distances, size_t n) { return RangeOf(distances, n).most; }

size_t KeepUpTo(float* HWY_RESTRICT distances, Slot* HWY_RESTRICT slots, size_t n, float bound) {
  const D d;
  const hn::Rebind<Slot, D> du;
  const auto bounds = hn::Set(d, bound);
  size_t kept = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, distances + i);
    const auto s = hn::LoadU(du, slots + i);
    auto mask = hn::Le(v, bounds);
    if (n - i < hn::Lanes(d)) mask = hn::And(mask, hn::FirstN(d, n - i));
    hn::StoreU(hn::Compress(v, mask), d, distances + kept);
    hn::StoreU(hn::Compress(s, hn::RebindMask(du, mask)), du, slots + kept);
    kept += hn::CountTrue(d, mask);
  }
  return kept;
}

size_t CountNear(const float* distances, size_t n, float bound) {
  return CountUpTo(distances, n, bound);
}

size_t KeepSmallest(float* distances, Slot* slots, size_t n, size_t keep_min, size_t keep_max,
                    BoundHint* hint) {
  const float bound = BoundOf(distances, n, keep_min, keep_max, hint);
  return KeepUpTo(distances, slots, n, bound);
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {

HWY_EXPORT(CountNear);
HWY_EXPORT(Farthest);
HWY_EXPORT(KeepUpTo);
HWY_EXPORT(KeepSmallest);

size_t CountNear(const float* distances, size_t n, float bound) {
  return HWY_DYNAMIC_DISPATCH(CountNear)(distances, n, bound);
}

float Farthest(const float* distances, size_t n) {
  return HWY_DYNAMIC_DISPATCH(Farthest)(distances, n);
}

size_t KeepUpTo(float* distances, Slot* slots, size_t n, float bound) {
  return HWY_DYNAMIC_DISPATCH(KeepUpTo)(distances, slots, n, bound);
}

size_t KeepSmallest(float* distances, Slot* slots, size_t n, size_t keep_min, size_t keep_max,
                    BoundHint* hint) {
  return HWY_DYNAMIC_DISPATCH(KeepSmallest)(distances, slots, n, keep_min, keep_max, hint);
}

}  // namespace tessera
#endif  // HWY_ONCE
