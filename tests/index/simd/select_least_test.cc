#include "index/simd/select_least.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

void ExpectLeast(const std::vector<float>& values, size_t count, size_t most) {
  std::vector<uint32_t> out(values.size() + kSelectLeastSlack, 0xFFFFFFFF);
  const size_t found = SelectLeast(values.data(), values.size(), count, most, out.data());
  ASSERT_GE(found, count);
  ASSERT_LE(found, values.size());
  out.resize(found);
  EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
  EXPECT_EQ(std::adjacent_find(out.begin(), out.end()), out.end());
  float greatest = values[out[0]];
  for (uint32_t i : out) greatest = std::max(greatest, values[i]);
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (!std::binary_search(out.begin(), out.end(), i)) {
      ASSERT_GT(values[i], greatest) << i;
    }
  }
}

TEST(SelectLeast, EveryLengthOnEveryTarget) {
  ForEachTarget([] {
    std::mt19937 rng(1);
    for (size_t n = 1; n <= 100; ++n) {
      std::vector<float> values(n);
      for (float& value : values) value = static_cast<float>(rng() % 1000) - 500;
      for (size_t count : {size_t{1}, n / 3 + 1, n}) ExpectLeast(values, count, count + 1);
    }
  });
}

TEST(SelectLeast, NoMoreThanAskedWhereFloatsCanTell) {
  ForEachTarget([] {
    std::mt19937 rng(2);
    std::normal_distribution<float> normal(1e5f, 1e4f);
    std::vector<float> values(8192);
    for (float& value : values) value = normal(rng);
    std::vector<uint32_t> out(values.size() + kSelectLeastSlack);
    for (size_t count : {16, 128, 1000}) {
      for (size_t most : {count, count + count / 16}) {
        EXPECT_LE(SelectLeast(values.data(), values.size(), count, most, out.data()), most);
        ExpectLeast(values, count, most);
      }
    }
  });
}

TEST(SelectLeast, EqualValuesComeTogether) {
  ForEachTarget([] {
    const std::vector<float> same(77, -3.0f);
    std::vector<uint32_t> out(77 + kSelectLeastSlack);
    EXPECT_EQ(SelectLeast(same.data(), 77, 5, 5, out.data()), 77u);
    std::vector<float> values(77, 1e30f);
    values[3] = values[76] = -1e30f;
    EXPECT_EQ(SelectLeast(values.data(), 77, 1, 1, out.data()), 2u);
    EXPECT_EQ(out[0], 3u);
    EXPECT_EQ(out[1], 76u);
  });
}

}  // namespace
}  // namespace tessera
