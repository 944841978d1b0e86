#ifndef TESSERA_TESTS_INDEX_SIMD_EACH_TARGET_H_
#define TESSERA_TESTS_INDEX_SIMD_EACH_TARGET_H_

#include <gtest/gtest.h>

#include "hwy/targets.h"

namespace tessera {

// Calls body() once with dispatch restricted to each instruction set that was compiled and that
// this machine has; failures name it.
template <class Body>
void ForEachTarget(Body body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

}  // namespace tessera

#endif  // TESSERA_TESTS_INDEX_SIMD_EACH_TARGET_H_
