#include "index/simd/lut_scan_select.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/lut_scan_select.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;

HWY_INLINE size_t CountUpTo(const float* HWY_RESTRICT values, size_t n, float limit) {
  const D d;
  const auto limits = hn::Set(d, limit);
  size_t count = 0, i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    count += hn::CountTrue(d, hn::Le(hn::LoadU(d, values + i), limits));
  }
  for (; i < n; ++i) count += values[i] <= limit;
  return count;
}

HWY_INLINE void Bounds(const float* HWY_RESTRICT values, size_t n, float* least, float* most) {
  const D d;
  auto low = hn::Set(d, values[0]);
  auto high = low;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, values + i);
    low = hn::Min(low, v);
    high = hn::Max(high, v);
  }
  *least = hn::GetLane(hn::MinOfLanes(d, low));
  *most = hn::GetLane(hn::MaxOfLanes(d, high));
  for (; i < n; ++i) {
    *least = HWY_MIN(*least, values[i]);
    *most = HWY_MAX(*most, values[i]);
  }
}

// The limit is found by bisection: counting is a pass over a few cache lines, without a branch that
// depends on the data, where a selection by exchanges mispredicts at every step.
size_t Keep(float* HWY_RESTRICT distances, Slot* HWY_RESTRICT slots, size_t n, size_t keep_min,
            size_t keep_max, float* threshold) {
  float low, high;
  Bounds(distances, n, &low, &high);
  float limit = low;
  size_t count = CountUpTo(distances, n, limit);
  if (count < keep_min) {
    // Invariant: up to `low` there are too few, up to `high` enough.
    while (true) {
      limit = low + (high - low) * 0.5f;
      if (!(limit > low && limit < high)) {
        limit = high;  // no float between: the rest are equal
        break;
      }
      count = CountUpTo(distances, n, limit);
      if (count < keep_min) {
        low = limit;
      } else if (count > keep_max) {
        high = limit;
      } else {
        break;
      }
    }
  }
  *threshold = limit;
  const D d;
  const hn::Rebind<Slot, D> du;
  const auto limits = hn::Set(d, limit);
  size_t kept = 0, i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, distances + i);
    const auto s = hn::LoadU(du, slots + i);
    const auto mask = hn::Le(v, limits);
    hn::StoreU(hn::Compress(v, mask), d, distances + kept);
    hn::StoreU(hn::Compress(s, hn::RebindMask(du, mask)), du, slots + kept);
    kept += hn::CountTrue(d, mask);
  }
  for (; i < n; ++i) {
    if (!(distances[i] <= limit)) continue;
    distances[kept] = distances[i];
    slots[kept++] = slots[i];
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
                    float* threshold) {
  return HWY_DYNAMIC_DISPATCH(Keep)(distances, slots, n, keep_min, keep_max, threshold);
}

}  // namespace tessera
#endif  // HWY_ONCE
