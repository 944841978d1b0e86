#include "index/simd/lut_scan_select.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/lut_scan_select.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/simd/bound_search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;

size_t Keep(float* HWY_RESTRICT distances, Slot* HWY_RESTRICT slots, size_t n, size_t keep_min,
            size_t keep_max, BoundHint* hint) {
  const float limit = BoundOf(distances, n, keep_min, keep_max, hint);
  const D d;
  const hn::Rebind<Slot, D> du;
  const auto limits = hn::Set(d, limit);
  size_t kept = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, distances + i);
    const auto s = hn::LoadU(du, slots + i);
    auto mask = hn::Le(v, limits);
    if (n - i < hn::Lanes(d)) mask = hn::And(mask, hn::FirstN(d, n - i));
    hn::StoreU(hn::Compress(v, mask), d, distances + kept);
    hn::StoreU(hn::Compress(s, hn::RebindMask(du, mask)), du, slots + kept);
    kept += hn::CountTrue(d, mask);
  }
  return kept;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {
HWY_EXPORT(Keep);
}  // namespace

size_t KeepSmallest(float* distances, Slot* slots, size_t n, size_t keep_min, size_t keep_max,
                    BoundHint* hint) {
  return HWY_DYNAMIC_DISPATCH(Keep)(distances, slots, n, keep_min, keep_max, hint);
}

}  // namespace tessera
#endif  // HWY_ONCE
