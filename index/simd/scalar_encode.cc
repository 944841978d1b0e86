#include "index/simd/scalar_encode.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/scalar_encode.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/simd/range-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

ScalarEncoding ScalarEncode(const float* HWY_RESTRICT x, size_t n, uint8_t* HWY_RESTRICT codes) {
  constexpr float kMostCode = 255;
  const Range range = RangeOf(x, n);
  ScalarEncoding encoding;
  encoding.offset = range.least;
  const float step = (range.most - range.least) / kMostCode;
  constexpr float kLeastStep = std::numeric_limits<float>::min();
  encoding.step = step > kLeastStep ? step : kLeastStep;
  const float codes_per_unit = 1 / encoding.step;

  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const hn::Rebind<int32_t, decltype(dd)> di;
  const hn::Rebind<uint8_t, decltype(dd)> du8;
  const size_t lanes = hn::Lanes(dd);
  auto norm2 = hn::Zero(dd), error2 = hn::Zero(dd);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto components = hn::LoadU(df, x + i);
    const auto scaled =
        hn::Mul(hn::Sub(components, hn::Set(df, encoding.offset)), hn::Set(df, codes_per_unit));
    const auto code = hn::Min(hn::Round(scaled), hn::Set(df, kMostCode));
    hn::StoreU(hn::DemoteTo(du8, hn::ConvertTo(di, code)), du8, codes + i);
    // The product is exact in double: with a fused addition or without, the sum is the same.
    const auto decoded = hn::Add(hn::Set(dd, encoding.offset),
                                 hn::Mul(hn::Set(dd, encoding.step), hn::PromoteTo(dd, code)));
    const auto off = hn::Sub(hn::PromoteTo(dd, components), decoded);
    norm2 = hn::MulAdd(decoded, decoded, norm2);
    error2 = hn::MulAdd(off, off, error2);
  }
  encoding.norm2 = hn::GetLane(hn::SumOfLanes(dd, norm2));
  encoding.error2 = hn::GetLane(hn::SumOfLanes(dd, error2));
  for (; i < n; ++i) {
    const float rounded = std::nearbyint((x[i] - encoding.offset) * codes_per_unit);
    const float code = rounded < kMostCode ? rounded : kMostCode;
    codes[i] = static_cast<uint8_t>(code);
    const double decoded = encoding.offset + double{encoding.step} * code;
    const double off = x[i] - decoded;
    encoding.norm2 += decoded * decoded;
    encoding.error2 += off * off;
  }
  return encoding;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {

HWY_EXPORT(ScalarEncode);

ScalarEncoding ScalarEncode(const float* x, size_t n, uint8_t* codes) {
  return HWY_DYNAMIC_DISPATCH(ScalarEncode)(x, n, codes);
}

}  // namespace tessera
#endif  // HWY_ONCE
