#include "index/simd/argmin.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/argmin.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Folds the lanes of one row's running minimum into (best, index); the lowest index wins ties.
template <class D, class DI>
void FoldLanes(D d, DI di, hn::Vec<D> cost, hn::Vec<DI> lane_index, uint32_t base, float* best,
               uint32_t* index) {
  const float least = hn::GetLane(hn::MinOfLanes(d, cost));
  if (!(least < *best)) return;
  const auto is_least = hn::RebindMask(di, hn::Eq(cost, hn::Set(d, least)));
  const auto candidates = hn::IfThenElse(is_least, lane_index, hn::Set(di, 0x7FFFFFFF));
  *best = least;
  *index = base + static_cast<uint32_t>(hn::GetLane(hn::MinOfLanes(di, candidates)));
}

void UpdateArgMin(const float* HWY_RESTRICT dots, size_t rows, size_t n, size_t stride,
                  const float* HWY_RESTRICT bias, uint32_t base, float* HWY_RESTRICT best,
                  uint32_t* HWY_RESTRICT index) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const size_t lanes = hn::Lanes(d);
  const size_t whole = n / (2 * lanes) * (2 * lanes);
  const auto step = hn::Set(di, static_cast<int32_t>(2 * lanes));
  for (size_t i = 0; i < rows; ++i) {
    const float* row = dots + i * stride;
    if (whole != 0) {
      auto cost0 = hn::Sub(hn::LoadU(d, bias), hn::LoadU(d, row));
      auto cost1 = hn::Sub(hn::LoadU(d, bias + lanes), hn::LoadU(d, row + lanes));
      auto at0 = hn::Iota(di, 0);
      auto at1 = hn::Iota(di, static_cast<int32_t>(lanes));
      auto least0 = at0, least1 = at1;
      for (size_t j = 2 * lanes; j < whole; j += 2 * lanes) {
        at0 = hn::Add(at0, step);
        at1 = hn::Add(at1, step);
        const auto next0 = hn::Sub(hn::LoadU(d, bias + j), hn::LoadU(d, row + j));
        const auto next1 = hn::Sub(hn::LoadU(d, bias + j + lanes), hn::LoadU(d, row + j + lanes));
        const auto less0 = hn::Lt(next0, cost0);
        const auto less1 = hn::Lt(next1, cost1);
        cost0 = hn::IfThenElse(less0, next0, cost0);
        cost1 = hn::IfThenElse(less1, next1, cost1);
        least0 = hn::IfThenElse(hn::RebindMask(di, less0), at0, least0);
        least1 = hn::IfThenElse(hn::RebindMask(di, less1), at1, least1);
      }
      // Of two equal costs in one lane the lower index stays.
      const auto take1 =
          hn::Or(hn::Lt(cost1, cost0),
                 hn::And(hn::Eq(cost1, cost0), hn::RebindMask(d, hn::Lt(least1, least0))));
      const auto cost = hn::IfThenElse(take1, cost1, cost0);
      const auto least = hn::IfThenElse(hn::RebindMask(di, take1), least1, least0);
      FoldLanes(d, di, cost, least, base, best + i, index + i);
    }
    for (size_t j = whole; j < n; ++j) {
      const float cost = bias[j] - row[j];
      if (cost < best[i]) {
        best[i] = cost;
        index[i] = base + static_cast<uint32_t>(j);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {

HWY_EXPORT(UpdateArgMin);

void UpdateArgMin(const float* dots, size_t rows, size_t n, size_t stride, const float* bias,
                  uint32_t base, float* best, uint32_t* index) {
  HWY_DYNAMIC_DISPATCH(UpdateArgMin)(dots, rows, n, stride, bias, base, best, index);
}

}  // namespace tessera
#endif  // HWY_ONCE
