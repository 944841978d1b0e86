#ifndef TESSERA_INDEX_SIMD_DISPATCH_TARGETS_H_
#define TESSERA_INDEX_SIMD_DISPATCH_TARGETS_H_

// Which instruction sets kernels are compiled for. Included before any header of Highway.

// AVX-512 with VNNI and VBMI is only compiled on demand.
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif

// Scalable vectors cannot be members of a struct, as our sums are; NEON serves those machines.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif

#endif  // TESSERA_INDEX_SIMD_DISPATCH_TARGETS_H_
