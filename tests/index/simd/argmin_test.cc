#include "index/simd/argmin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

// One row at a time, one component at a time.
void Reference(const float* dots, size_t rows, size_t n, size_t stride, const float* bias,
               uint32_t base, float* best, uint32_t* index) {
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < n; ++j) {
      const float cost = bias[j] - dots[i * stride + j];
      if (cost < best[i]) {
        best[i] = cost;
        index[i] = base + static_cast<uint32_t>(j);
      }
    }
  }
}

// Few distinct values, so that ties are common.
std::vector<float> SmallIntegers(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(rng() % 16);
  return values;
}

TEST(UpdateArgMin, EqualsTheReferenceForEveryTailOnEveryTarget) {
  ForEachTarget([] {
    for (size_t n = 0; n <= 131; ++n) {
      const size_t rows = 3, stride = n + 5;
      const std::vector<float> dots = SmallIntegers(rows * stride, 1 + n);
      const std::vector<float> bias = SmallIntegers(n, 1000 + n);
      std::vector<float> best(rows, std::numeric_limits<float>::infinity()), best_want = best;
      std::vector<uint32_t> index(rows, 9), index_want = index;
      UpdateArgMin(dots.data(), rows, n, stride, bias.data(), 70, best.data(), index.data());
      Reference(dots.data(), rows, n, stride, bias.data(), 70, best_want.data(), index_want.data());
      ASSERT_EQ(best, best_want) << "n = " << n;
      ASSERT_EQ(index, index_want) << "n = " << n;
    }
  });
}

TEST(UpdateArgMin, AnEarlierCallWinsTies) {
  ForEachTarget([] {
    const std::vector<float> dots(64, 2.0f), bias(64, 5.0f);
    float best = std::numeric_limits<float>::infinity();
    uint32_t index = 0;
    UpdateArgMin(dots.data(), 1, 64, 64, bias.data(), 0, &best, &index);
    EXPECT_EQ(index, 0u);
    UpdateArgMin(dots.data(), 1, 64, 64, bias.data(), 64, &best, &index);
    EXPECT_EQ(index, 0u);
    const std::vector<float> nearer(64, 3.0f);
    UpdateArgMin(nearer.data(), 1, 64, 64, bias.data(), 128, &best, &index);
    EXPECT_EQ(index, 128u);
    EXPECT_EQ(best, 2.0f);
  });
}

}  // namespace
}  // namespace tessera
