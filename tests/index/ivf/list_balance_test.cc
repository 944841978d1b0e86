#include "index/ivf/list_balance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "index/base/limits.h"
#include "tests/index/ivf/ivf_test_util.h"

namespace tessera {
namespace {

bool Always(uint32_t) { return true; }

TEST(ListBalanceTest, LengthIsJudgedByTheMeanAndAFloor) {
  EXPECT_EQ(ListSizeMax(0, 100), limits::kListSplitEntries);
  EXPECT_EQ(ListSizeMax(100'000, 1000), limits::kListSplitEntries);
  EXPECT_EQ(ListSizeMax(1'000'000, 1000), limits::kListMeansMax * 1000);
  EXPECT_EQ(ListSizeMax(10, 0), limits::kListSplitEntries);
}

TEST(ListBalanceTest, BalancedListsAreLeftAlone) {
  EXPECT_TRUE(ChooseSplits(std::vector<uint32_t>(64, 5000), Always).empty());
  EXPECT_TRUE(ChooseSplits({}, Always).empty());
  // Of four lists or fewer none can be longer than four means.
  EXPECT_TRUE(ChooseSplits(std::vector<uint32_t>{0, 0, 0, 90'000}, Always).empty());
}

TEST(ListBalanceTest, LongListsGetThePlacesOfShortOnes) {
  std::vector<uint32_t> sizes(200, 100);
  sizes[7] = 9000;
  sizes[9] = 3000;
  for (uint32_t i = 150; i < 170; ++i) sizes[i] = 3;
  const auto splits = ChooseSplits(sizes, Always);
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_EQ(splits[0].list, 7u);
  EXPECT_EQ(splits[1].list, 9u);
  EXPECT_EQ(splits[0].takers.size(), limits::kListPartsMax);
  std::set<uint32_t> takers;
  for (const auto& split : splits) {
    for (const uint32_t taker : split.takers) {
      EXPECT_TRUE(takers.insert(taker).second) << taker << " is taken twice";
      EXPECT_LE(sizes[taker], 100u);
    }
  }
  // The shortest first.
  for (const uint32_t taker : splits[0].takers) EXPECT_EQ(sizes[taker], 3u);
  // What cannot be split does not keep others from it.
  const auto others = ChooseSplits(sizes, [](uint32_t list) { return list != 7; });
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(others[0].list, 9u);
}

TEST(ListBalanceTest, AStepIsBounded) {
  std::vector<uint32_t> sizes(4000, 900);
  for (uint32_t i = 0; i < 100; ++i) sizes[i] = 20'000;
  const auto splits = ChooseSplits(sizes, Always);
  ASSERT_FALSE(splits.empty());
  EXPECT_LE(splits.size(), limits::kListsSplitMax);
  uint64_t moved = 0;
  for (const auto& split : splits) {
    EXPECT_GE(split.takers.size(), 2u);
    EXPECT_LE(split.takers.size(), limits::kListPartsMax);
    for (const uint32_t taker : split.takers) moved += sizes[taker];
  }
  EXPECT_LE(moved, limits::kListMoveEntriesMax);
  // Two at least, however long they are: else nothing would ever be split.
  sizes.assign(40, 10'000);
  sizes[5] = 200'000;
  const auto large = ChooseSplits(sizes, Always);
  ASSERT_EQ(large.size(), 1u);
  EXPECT_EQ(large[0].takers.size(), 2u);
}

TEST(ListBalanceTest, EachSplitMakesSearchesCheaper) {
  std::mt19937 rng(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint32_t> sizes(20 + rng() % 500);
    for (uint32_t& size : sizes) size = rng() % 300;
    sizes[rng() % sizes.size()] = 5000 + rng() % 50'000;
    for (const auto& split : ChooseSplits(sizes, Always)) {
      // The worst case: parts of equal size, and all entries of a taker in one list of the mean.
      const double mean =
          static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), uint64_t{0})) /
          static_cast<double>(sizes.size());
      const double size = sizes[split.list];
      const auto parts = static_cast<double>(split.takers.size());
      double cost = 0;
      for (const uint32_t taker : split.takers) cost += 2 * mean * sizes[taker];
      EXPECT_GT(size * size * (1 - 1 / parts), cost);
    }
  }
}

TEST(ListBalanceTest, PartsAreWhereTheVectorsAre) {
  const Matrix vectors = test::RandomVectors(1000, 8, 4);
  const auto centroids = SplitCentroids(vectors, 5);
  ASSERT_TRUE(centroids.has_value());
  EXPECT_EQ(centroids->rows(), 5u);
  EXPECT_EQ(centroids->cols(), 8u);
}

// Of a few vectors far away k-means makes a part of its own, and leaves the others in one.
TEST(ListBalanceTest, AFewOutliersDoNotKeepTheOthersTogether) {
  Matrix vectors = test::RandomVectors(500, 8, 4);
  for (size_t i = 0; i < 30; ++i) {
    for (float& x : vectors.row(i * 16)) x += i < 10 ? 1000 : 100;
  }
  const auto centroids = SplitCentroids(vectors, 2);
  ASSERT_TRUE(centroids.has_value());
  for (size_t part = 0; part < 2; ++part) EXPECT_LT(std::abs(centroids->row(part)[0]), 50);
}

TEST(ListBalanceTest, VectorsThatAreAllAlikeCannotBeSplit) {
  Matrix alike(1000, 8);
  for (size_t i = 0; i < 8000; ++i) alike.data()[i] = static_cast<float>(i % 8);
  EXPECT_FALSE(SplitCentroids(alike, 4).has_value());
  // Nor if a few others are among them.
  alike.row(17)[3] = 99;
  EXPECT_FALSE(SplitCentroids(alike, 4).has_value());
  EXPECT_FALSE(SplitCentroids(alike.view().Rows(0, 3), 4).has_value());
}

}  // namespace
}  // namespace tessera
