// The multiply-add instructions of AVX-512 VNNI, for kernels under HWY_TARGET == HWY_AVX3_DL.
// Included once per target.
//
// As assembly, not intrinsics: Highway 1.0.3 detects AVX-512 VNNI for this target at run time but
// leaves it out of the target's attributes, so compilers refuse to inline the intrinsics.

#if defined(TESSERA_INDEX_SIMD_VNNI_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_VNNI_INL_H_
#undef TESSERA_INDEX_SIMD_VNNI_INL_H_
#else
#define TESSERA_INDEX_SIMD_VNNI_INL_H_
#endif

#include "hwy/highway.h"

#if HWY_TARGET == HWY_AVX3_DL
#include <immintrin.h>

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {

// Adds to each 32-bit lane the dot product of its four bytes of `a` (unsigned) and `b` (signed).
// Wraps around, does not saturate.
HWY_INLINE void DotU8S8(__m512i& sum, __m512i a, __m512i b) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

// Adds to each 32-bit lane the dot product of its two int16 of `a` and `b`. Wraps around.
HWY_INLINE void DotS16(__m512i& sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // HWY_TARGET == HWY_AVX3_DL
#endif  // include guard, once per target
