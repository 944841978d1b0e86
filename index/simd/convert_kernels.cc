#include "index/simd/convert_kernels.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "index/simd/dispatch_targets.h"
#include "index/simd/reference.h"

// Highway compiles this file once per target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/convert_kernels.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
#include "index/simd/element-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Element>
void WidenAs(ElementType type, const std::byte* in, size_t n, float* out) {
  using Stored = typename Element::Stored;
  const auto* source = reinterpret_cast<const Stored*>(in);
  const DF df;
  size_t i = 0;
  for (; i + hn::Lanes(df) <= n; i += hn::Lanes(df)) {
    hn::StoreU(Element::Widen(hn::LoadU(typename Element::DStored(), source + i)), df, out + i);
  }
  for (; i < n; ++i) out[i] = reference::Component(type, in, i);
}

void Widen(ElementType type, const std::byte* in, size_t n, float* out) {
  switch (type) {
    case ElementType::kFloat32:
      if (n > 0) std::memcpy(out, in, n * sizeof(float));
      return;
    case ElementType::kFloat16:
      return WidenAs<ElementF16>(type, in, n, out);
    case ElementType::kUint8:
      return WidenAs<ElementU8>(type, in, n, out);
    case ElementType::kInt8:
      return WidenAs<ElementI8>(type, in, n, out);
  }
}

// Whether any lane's exponent, the bits of `exponent`, is all ones.
template <class D>
bool NoLaneHasExponent(D d, const hn::TFromD<D>* bits, size_t n, hn::TFromD<D> exponent) {
  const auto mask = hn::Set(d, exponent);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto special = hn::Eq(hn::And(hn::LoadU(d, bits + i), mask), mask);
    if (HWY_UNLIKELY(!hn::AllFalse(d, special))) return false;
  }
  for (; i < n; ++i) {
    hn::TFromD<D> value;
    std::memcpy(&value, bits + i, sizeof(value));
    if ((value & exponent) == exponent) return false;
  }
  return true;
}

bool AllFinite(ElementType type, const std::byte* in, size_t n) {
  switch (type) {
    case ElementType::kFloat32:
      return NoLaneHasExponent(hn::ScalableTag<uint32_t>(), reinterpret_cast<const uint32_t*>(in),
                               n, 0x7F800000u);
    case ElementType::kFloat16:
      return NoLaneHasExponent(hn::ScalableTag<uint16_t>(), reinterpret_cast<const uint16_t*>(in),
                               n, 0x7C00);
    case ElementType::kUint8:
    case ElementType::kInt8:
      return true;
  }
  return false;
}

bool NarrowToHalf(const float* in, size_t n, std::byte* out) {
  size_t i = 0;
#if !(HWY_ARCH_X86 && HWY_TARGET >= HWY_SSE4)  // those lack F16C
  const DF df;
  const hn::Rebind<hwy::float16_t, DF> df16;
  for (; i + hn::Lanes(df) <= n; i += hn::Lanes(df)) {
    const auto half = hn::DemoteTo(df16, hn::LoadU(df, in + i));
    hn::StoreU(hn::BitCast(ElementF16::DStored(), half), ElementF16::DStored(),
               reinterpret_cast<uint16_t*>(out) + i);
  }
#endif
  for (; i < n; ++i) {
    const uint16_t half = reference::HalfFromFloat(in[i]);
    std::memcpy(out + i * sizeof(half), &half, sizeof(half));
  }
  return AllFinite(ElementType::kFloat16, out, n);
}

template <class T>
bool NarrowToInteger(const float* in, size_t n, T* out) {
  constexpr float kLow = hwy::LimitsMin<T>();
  constexpr float kHigh = hwy::LimitsMax<T>();
  const DF df;
  const hn::Rebind<int32_t, DF> di32;
  const hn::Rebind<T, DF> d;
  size_t i = 0;
  for (; i + hn::Lanes(df) <= n; i += hn::Lanes(df)) {
    const VF value = hn::LoadU(df, in + i);
    // Comparisons with NaN are false, and so is the last one where the conversion overflows.
    const auto integer = hn::ConvertTo(di32, value);
    const auto in_range =
        hn::And(hn::Ge(value, hn::Set(df, kLow)), hn::Le(value, hn::Set(df, kHigh)));
    const auto fits = hn::And(in_range, hn::Eq(hn::ConvertTo(df, integer), value));
    if (HWY_UNLIKELY(!hn::AllTrue(df, fits))) return false;
    hn::StoreU(hn::DemoteTo(d, integer), d, out + i);
  }
  for (; i < n; ++i) {
    if (!(in[i] >= kLow && in[i] <= kHigh && in[i] == std::trunc(in[i]))) return false;
    out[i] = static_cast<T>(in[i]);
  }
  return true;
}

bool Narrow(ElementType type, const float* in, size_t n, std::byte* out) {
  switch (type) {
    case ElementType::kFloat32:
      if (n > 0) std::memcpy(out, in, n * sizeof(float));
      return AllFinite(type, out, n);
    case ElementType::kFloat16:
      return NarrowToHalf(in, n, out);
    case ElementType::kUint8:
      return NarrowToInteger(in, n, reinterpret_cast<uint8_t*>(out));
    case ElementType::kInt8:
      return NarrowToInteger(in, n, reinterpret_cast<int8_t*>(out));
  }
  return false;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {

HWY_EXPORT(Widen);
HWY_EXPORT(Narrow);
HWY_EXPORT(AllFinite);

}  // namespace

void convert_kernels::Widen(ElementType type, const std::byte* in, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(Widen)(type, in, n, out);
}

bool convert_kernels::Narrow(ElementType type, const float* in, size_t n, std::byte* out) {
  return HWY_DYNAMIC_DISPATCH(Narrow)(type, in, n, out);
}

bool convert_kernels::AllFinite(ElementType type, const std::byte* in, size_t n) {
  return HWY_DYNAMIC_DISPATCH(AllFinite)(type, in, n);
}

}  // namespace tessera
#endif  // HWY_ONCE
