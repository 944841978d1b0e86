#include "index/simd/lut_scan_select.h"

#include <algorithm>
#include <limits>

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

// Each lane keeps the least that it has met, in order; then the least of all are taken one after
// the other.
double MeanOfNearest(const float* distances, size_t n) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const auto none = hn::Set(d, std::numeric_limits<float>::infinity());
  auto first = none, second = none, third = none, fourth = none;
  const auto meet = [&](const auto next) HWY_ATTR {
    fourth = hn::Min(fourth, hn::Max(third, next));
    third = hn::Min(third, hn::Max(second, next));
    second = hn::Min(second, hn::Max(first, next));
    first = hn::Min(first, next);
  };
  const size_t whole = n / lanes * lanes;
  for (size_t i = 0; i < whole; i += lanes) meet(hn::LoadU(d, distances + i));
  if (whole < n) {
    HWY_ALIGN float rest[16];
    hn::Store(none, d, rest);
    std::copy(distances + whole, distances + n, rest);
    meet(hn::Load(d, rest));
  }
  double sum = 0;
  const size_t count = n < kNearestOfMean ? n : kNearestOfMean;
  for (size_t taken = 0; taken < count;) {
    const float least = hn::GetLane(hn::MinOfLanes(d, first));
    const auto has_it = hn::Eq(first, hn::Set(d, least));
    // At least one, even if it is no number.
    const size_t same = std::clamp<size_t>(hn::CountTrue(d, has_it), 1, count - taken);
    sum += static_cast<double>(same) * least;
    taken += same;
    first = hn::IfThenElse(has_it, second, first);
    second = hn::IfThenElse(has_it, third, second);
    third = hn::IfThenElse(has_it, fourth, third);
    fourth = hn::IfThenElse(has_it, none, fourth);
  }
  return sum / static_cast<double>(count);
}

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
HWY_EXPORT(MeanOfNearest);
HWY_EXPORT(KeepUpTo);
HWY_EXPORT(KeepSmallest);

size_t CountNear(const float* distances, size_t n, float bound) {
  return HWY_DYNAMIC_DISPATCH(CountNear)(distances, n, bound);
}

float Farthest(const float* distances, size_t n) {
  return HWY_DYNAMIC_DISPATCH(Farthest)(distances, n);
}

double MeanOfNearest(const float* distances, size_t n) {
  return HWY_DYNAMIC_DISPATCH(MeanOfNearest)(distances, n);
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
