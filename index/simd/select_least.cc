#include "index/simd/select_least.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/select_least.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/simd/bound_search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using SelectFloat = hn::CappedTag<float, kSelectLeastSlack>;

size_t SelectLeast(const float* HWY_RESTRICT values, size_t n, size_t count, size_t most,
                   uint32_t* HWY_RESTRICT out) {
  const SelectFloat d;
  const hn::RebindToUnsigned<SelectFloat> du;
  const size_t lanes = hn::Lanes(d);
  BoundHint hint;
  const float bound = BoundOf(values, n, count, most, &hint);
  const auto bounds = hn::Set(d, bound);
  auto numbers = hn::Iota(du, 0);
  const auto step = hn::Set(du, static_cast<uint32_t>(lanes));
  size_t found = 0, i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto chosen = hn::Le(hn::LoadU(d, values + i), bounds);
    const auto mask = hn::RebindMask(du, chosen);
    // Not CompressStore: some processors take a hundred cycles for its instruction.
    hn::StoreU(hn::Compress(numbers, mask), du, out + found);
    found += hn::CountTrue(du, mask);
    numbers = hn::Add(numbers, step);
  }
  for (; i < n; ++i) {
    if (values[i] <= bound) out[found++] = static_cast<uint32_t>(i);
  }
  return found;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {

HWY_EXPORT(SelectLeast);

size_t SelectLeast(const float* values, size_t n, size_t count, size_t most, uint32_t* out) {
  return HWY_DYNAMIC_DISPATCH(SelectLeast)(values, n, count, most, out);
}

}  // namespace tessera
#endif  // HWY_ONCE
