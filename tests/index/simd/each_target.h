#ifndef TESSERA_TESTS_INDEX_SIMD_EACH_TARGET_H_
#define TESSERA_TESTS_INDEX_SIMD_EACH_TARGET_H_

#include <gtest/gtest.h>

#include <cstdint>

#include "hwy/targets.h"

namespace tessera {

// Calls body() once with dispatch restricted to each instruction set that this machine has and for
// which kernels may have been compiled; failures name it. Where a kernel lacks one, the dispatch
// takes its baseline version.
//
// All that the machine has, not hwy::SupportedAndGeneratedTargets(): that leaves out AVX3_DL unless
// this file, too, is compiled with HWY_WANT_AVX3_DL.
template <class Body>
void ForEachTarget(Body body) {
  for (int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    if (target == HWY_EMU128 || target == HWY_SCALAR) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    body();
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace tessera

#endif  // TESSERA_TESTS_INDEX_SIMD_EACH_TARGET_H_
