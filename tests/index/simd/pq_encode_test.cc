#include "index/simd/pq_encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

// Small integers: every order of float operations gives the same sums, and ties are common.
std::vector<float> SmallIntegers(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(rng() % 9) - 4;
  return values;
}

TEST(NearestCodewords, EqualsTheReferenceOnEveryTarget) {
  ForEachTarget([] {
    for (size_t dim : {1, 2, 3, 4, 7, 16, 33}) {
      for (size_t count : {1, 15, 16, 255, 256}) {
        const std::vector<float> block = SmallIntegers(dim * kPqBlock, 1 + dim);
        const std::vector<float> words = SmallIntegers(count * dim, 100 + dim);
        std::vector<float> half_norms(count);
        for (size_t j = 0; j < count; ++j) {
          for (size_t t = 0; t < dim; ++t) half_norms[j] += words[j * dim + t] * words[j * dim + t];
          half_norms[j] /= 2;
        }
        std::vector<uint8_t> code(kPqBlock, 77);
        std::vector<float> cost(kPqBlock);
        NearestCodewords(block.data(), dim, words.data(), half_norms.data(), count, code.data(),
                         cost.data());
        for (size_t i = 0; i < kPqBlock; ++i) {
          size_t nearest = 0;
          float least = 1e30f;
          for (size_t j = 0; j < count; ++j) {
            float sum = half_norms[j];
            for (size_t t = 0; t < dim; ++t) sum -= words[j * dim + t] * block[t * kPqBlock + i];
            if (sum < least) {
              least = sum;
              nearest = j;
            }
          }
          ASSERT_EQ(code[i], nearest) << "dim " << dim << " count " << count << " point " << i;
          ASSERT_EQ(cost[i], least) << "dim " << dim << " count " << count << " point " << i;
        }
      }
    }
  });
}

TEST(TransposeToBlock, PadsWithZeros) {
  const std::vector<float> rows = {1, 2, 3, 4, 5, 6};  // 2 rows of stride 3
  std::vector<float> block(2 * kPqBlock, -1.0f);
  TransposeToBlock(rows.data(), 2, 3, 2, block.data());
  EXPECT_EQ(block[0], 1);
  EXPECT_EQ(block[1], 4);
  EXPECT_EQ(block[kPqBlock], 2);
  EXPECT_EQ(block[kPqBlock + 1], 5);
  for (size_t i = 2; i < kPqBlock; ++i) {
    EXPECT_EQ(block[i], 0);
    EXPECT_EQ(block[kPqBlock + i], 0);
  }
}

TEST(FloatKernels, EqualTheReferenceForEveryTailOnEveryTarget) {
  ForEachTarget([] {
    for (size_t n = 0; n <= 150; ++n) {
      const std::vector<float> a = SmallIntegers(n, 5), b = SmallIntegers(n, 6);
      float dot = 0, squared = 0;
      for (size_t i = 0; i < n; ++i) {
        dot += a[i] * b[i];
        squared += (a[i] - b[i]) * (a[i] - b[i]);
      }
      ASSERT_EQ(FloatDotProduct(a.data(), b.data(), n), dot) << n;
      ASSERT_EQ(FloatSquaredDistance(a.data(), b.data(), n), squared) << n;
    }
  });
}

}  // namespace
}  // namespace tessera
