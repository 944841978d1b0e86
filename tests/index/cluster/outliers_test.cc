#include "index/cluster/outliers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <numeric>
#include <vector>

namespace tessera {
namespace {

using testing::ElementsAre;

// One component each, half of them negative.
Matrix Rows(const std::vector<float>& lengths) {
  Matrix rows(lengths.size(), 1);
  for (size_t i = 0; i < lengths.size(); ++i) {
    rows.data()[i] = i % 2 == 0 ? lengths[i] : -lengths[i];
  }
  return rows;
}

TEST(WithoutOutliers, LeavesOutFewAndFar) {
  std::vector<float> lengths(100, 1.0f);
  lengths[0] = 4.1f;
  lengths[7] = 3.9f;
  lengths[30] = 1e30f;
  lengths[99] = 100;
  std::vector<uint32_t> want(100);
  std::iota(want.begin(), want.end(), 0);
  for (size_t out : {99, 30, 0}) want.erase(want.begin() + static_cast<ptrdiff_t>(out));
  EXPECT_EQ(WithoutOutliers(Rows(lengths)), want);
}

TEST(WithoutOutliers, KeepsWhatIsNotRare) {
  std::vector<float> lengths(100, 1.0f);
  for (size_t i = 0; i < 6; ++i) lengths[i * 10] = 1000;
  EXPECT_EQ(WithoutOutliers(Rows(lengths)).size(), 100u);
}

TEST(WithoutOutliers, AmongZerosNothingIsTooLong) {
  std::vector<float> lengths(100);
  lengths[50] = 1;
  EXPECT_EQ(WithoutOutliers(Rows(lengths)).size(), 100u);
}

TEST(WithoutOutliers, OfFewRowsOrNone) {
  EXPECT_TRUE(WithoutOutliers(Matrix()).empty());
  EXPECT_THAT(WithoutOutliers(Rows({5})), ElementsAre(0));
  EXPECT_THAT(WithoutOutliers(Rows({1, 100})), ElementsAre(0, 1));
}

}  // namespace
}  // namespace tessera
