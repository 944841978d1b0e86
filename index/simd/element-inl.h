// How the elements of each stored type become a vector of floats. Included once per target.

#if defined(TESSERA_INDEX_SIMD_ELEMENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_ELEMENT_INL_H_
#undef TESSERA_INDEX_SIMD_ELEMENT_INL_H_
#else
#define TESSERA_INDEX_SIMD_ELEMENT_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;

// Each has Stored, the type of an element; DStored, the tag of as many of them as a vector of
// floats has lanes; and Widen, exact.

struct ElementF32 {
  using Stored = float;
  using DStored = DF;
  static HWY_INLINE VF Widen(hn::Vec<DStored> v) { return v; }
};

// Carried as its bits: not every operation of Highway takes float16_t lanes.
struct ElementF16 {
  using Stored = uint16_t;
  using DStored = hn::Rebind<uint16_t, DF>;
  static HWY_INLINE VF Widen(hn::Vec<DStored> bits) {
    const DF df;
#if HWY_ARCH_X86 && HWY_TARGET >= HWY_SSE4
    // Without F16C: exponent and mantissa move to a float's place and the exponent's bias is
    // mended. A subnormal gets an implicit one in front that is taken off again as a float;
    // infinity and NaN get the largest exponent.
    const hn::Rebind<uint32_t, DF> du32;
    const hn::Rebind<int32_t, DF> di32;
    const auto wide = hn::PromoteTo(du32, bits);
    const auto magnitude = hn::And(wide, hn::Set(du32, 0x7FFF));
    const VF sign = hn::BitCast(df, hn::ShiftLeft<16>(hn::Xor(wide, magnitude)));
    const auto moved = hn::ShiftLeft<13>(magnitude);
    const VF normal = hn::BitCast(df, hn::Add(moved, hn::Set(du32, 112u << 23)));
    const auto one = hn::Set(du32, 113u << 23);
    const VF subnormal = hn::Sub(hn::BitCast(df, hn::Add(moved, one)), hn::BitCast(df, one));
    const auto comparable = hn::BitCast(di32, magnitude);
    const auto is_subnormal = hn::RebindMask(df, hn::Lt(comparable, hn::Set(di32, 0x0400)));
    const auto is_special = hn::RebindMask(df, hn::Gt(comparable, hn::Set(di32, 0x7BFF)));
    const VF infinity = hn::BitCast(df, hn::Set(du32, 0x7F800000u));
    const VF value = hn::IfThenElse(is_subnormal, subnormal, normal);
    return hn::Or(hn::Or(value, hn::IfThenElseZero(is_special, infinity)), sign);
#else
    return hn::PromoteTo(df, hn::BitCast(hn::Rebind<hwy::float16_t, DF>(), bits));
#endif
  }
};

template <class T>
struct ElementInteger {
  using Stored = T;
  using DStored = hn::Rebind<T, DF>;
  static HWY_INLINE VF Widen(hn::Vec<DStored> v) {
    return hn::ConvertTo(DF(), hn::PromoteTo(hn::Rebind<int32_t, DF>(), v));
  }
};
using ElementU8 = ElementInteger<uint8_t>;
using ElementI8 = ElementInteger<int8_t>;

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // include guard, once per target
