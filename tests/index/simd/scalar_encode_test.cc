#include "index/simd/scalar_encode.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "index/simd/reference.h"
#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

constexpr uint8_t kUntouched = 0xA5;

void ExpectAsReference(const std::vector<float>& x) {
  const size_t n = x.size();
  std::vector<uint8_t> codes(n + 1, kUntouched), expected_codes(n);
  const ScalarEncoding encoding = ScalarEncode(x.data(), n, codes.data());
  const ScalarEncoding expected = reference::ScalarEncode(x, expected_codes.data());
  EXPECT_EQ(encoding.step, expected.step);
  EXPECT_EQ(encoding.offset, expected.offset);
  EXPECT_NEAR(encoding.norm2, expected.norm2, 1e-12 * expected.norm2);
  EXPECT_NEAR(encoding.error2, expected.error2, 1e-12 * expected.error2);
  EXPECT_EQ(codes[n], kUntouched);
  codes.pop_back();
  EXPECT_EQ(codes, expected_codes);
}

TEST(ScalarEncode, EveryLengthOnEveryTarget) {
  ForEachTarget([] {
    std::mt19937 rng(1);
    std::normal_distribution<float> normal;
    for (size_t n = 1; n <= 70; ++n) {
      std::vector<float> x(n + 1);
      for (float& component : x) component = normal(rng);
      ExpectAsReference({x.begin(), x.end() - 1});
      ExpectAsReference({x.begin() + 1, x.end()});
    }
  });
}

TEST(ScalarEncode, TheLeastAndTheMostHaveTheFirstAndTheLastCode) {
  ForEachTarget([] {
    for (size_t n : {2, 33, 768}) {
      for (size_t at = 0; at + 1 < n; at += 7) {
        std::vector<float> x(n, 0.25f);
        x[at] = -1;
        x[at + 1] = 3;
        std::vector<uint8_t> codes(n);
        ScalarEncode(x.data(), n, codes.data());
        EXPECT_EQ(codes[at], 0);
        EXPECT_EQ(codes[at + 1], 255);
        ExpectAsReference(x);
      }
    }
  });
}

TEST(ScalarEncode, AnyFiniteRange) {
  ForEachTarget([] {
    std::mt19937 rng(2);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (const float scale : {0.0f, 1e-45f, 1e-38f, 1e-20f, 1.0f, 1e15f}) {
      for (const float offset : {0.0f, -7.0f, 1e15f}) {
        std::vector<float> x(37);
        for (float& component : x) component = offset + scale * uniform(rng);
        ExpectAsReference(x);
      }
    }
  });
}

// A component that lies between two codes takes the even one.
TEST(ScalarEncode, TiesGoToTheEvenCode) {
  ForEachTarget([] {
    std::vector<float> x = {0, 255};
    for (int i = 0; i < 40; ++i) x.push_back(static_cast<float>(i) + 0.5f);
    std::vector<uint8_t> codes(x.size());
    ScalarEncode(x.data(), x.size(), codes.data());
    for (int i = 0; i < 40; ++i) EXPECT_EQ(codes[2 + i], (i + 1) / 2 * 2);
    ExpectAsReference(x);
  });
}

}  // namespace
}  // namespace tessera
