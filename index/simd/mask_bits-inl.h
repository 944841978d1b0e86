// Masks of lanes as numbers. Included once per target.

#if defined(TESSERA_INDEX_SIMD_MASK_BITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_MASK_BITS_INL_H_
#undef TESSERA_INDEX_SIMD_MASK_BITS_INL_H_
#else
#define TESSERA_INDEX_SIMD_MASK_BITS_INL_H_
#endif

#include <bit>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

#if HWY_TARGET <= HWY_AVX3
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Bit i of the result is lane i of `mask`, of at most 32 lanes.
template <class D, class Mask>
HWY_INLINE uint32_t MaskBits(D d, Mask mask) {
  static_assert(hn::MaxLanes(d) <= 32);
  uint64_t bits = 0;  // the bytes of a number, so that it need not leave the registers
  hn::StoreMaskBits(d, mask, reinterpret_cast<uint8_t*>(&bits));
  return static_cast<uint32_t>(bits);
}

// Writes first + i for each bit i of `bits` that is set, in order, and returns the end of them.
// Writes up to 16 numbers more.
HWY_INLINE uint32_t* StoreNumbersOfBits(uint32_t bits, uint32_t first, uint32_t* numbers) {
  const hn::CappedTag<uint32_t, 16> d;
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    const auto from = hn::Iota(d, first + static_cast<uint32_t>(i));
#if HWY_TARGET <= HWY_AVX3
    const auto some = static_cast<__mmask16>(bits >> i);
    hn::StoreU(hn::Vec<decltype(d)>{_mm512_maskz_compress_epi32(some, from.raw)}, d, numbers);
    numbers += std::popcount(uint32_t{some});
#else
    uint64_t some = bits >> i;
    const auto mask = hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(&some));
    hn::StoreU(hn::Compress(from, mask), d, numbers);
    numbers += hn::CountTrue(d, mask);
#endif
  }
  return numbers;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // TESSERA_INDEX_SIMD_MASK_BITS_INL_H_
