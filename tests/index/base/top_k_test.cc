#include "index/base/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Neighbor> SortedPrefix(std::vector<Neighbor> all, size_t k) {
  std::sort(all.begin(), all.end());
  all.resize(std::min(k, all.size()));
  return all;
}

// Few distinct distances, so that most comparisons are ties.
std::vector<Neighbor> RandomNeighbors(size_t n, std::mt19937* rng, int distinct) {
  std::vector<Neighbor> all(n);
  for (size_t i = 0; i < n; ++i) {
    all[i] = {static_cast<float>((*rng)() % distinct) - 5.0f, static_cast<Slot>(i)};
  }
  std::shuffle(all.begin(), all.end(), *rng);
  return all;
}

TEST(TopKTest, EqualsSortingForManySizes) {
  std::mt19937 rng(7);
  for (size_t k : {1, 2, 3, 10, 31, 32, 33, 100, 1000}) {
    for (size_t n : {0, 1, 2, 63, 64, 65, 200, 2000, 5000}) {
      for (int distinct : {1, 7, 1 << 20}) {
        const std::vector<Neighbor> all = RandomNeighbors(n, &rng, distinct);
        TopK top(k);
        for (const Neighbor& one : all) top.Push(one.distance, one.slot);
        ASSERT_EQ(top.Take(), SortedPrefix(all, k)) << k << " of " << n << ", " << distinct;
      }
    }
  }
}

TEST(TopKTest, ThresholdNeverCutsOffAMemberOfTheAnswer) {
  std::mt19937 rng(8);
  const std::vector<Neighbor> all = RandomNeighbors(3000, &rng, 1 << 20);
  TopK top(10);
  std::vector<Neighbor> seen;
  for (const Neighbor& one : all) {
    top.Push(one.distance, one.slot);
    seen.push_back(one);
    if (seen.size() >= 10 && seen.size() % 50 == 0) {
      ASSERT_GE(top.threshold(), SortedPrefix(seen, 10).back().distance);
    }
  }
  EXPECT_LT(top.threshold(), std::numeric_limits<float>::infinity());
}

TEST(TopKTest, BreaksTiesAsItIsTold) {
  std::mt19937 rng(9);
  const auto larger_first = [](Slot a, Slot b) { return a > b; };
  for (size_t k : {1, 10, 100}) {
    std::vector<Neighbor> all = RandomNeighbors(2000, &rng, 7);
    TopK top(k, larger_first);
    for (const Neighbor& neighbor : all) top.Push(neighbor.distance, neighbor.slot);
    std::sort(all.begin(), all.end(), [](const Neighbor& a, const Neighbor& b) {
      return a.distance < b.distance || (a.distance == b.distance && a.slot > b.slot);
    });
    all.resize(k);
    EXPECT_EQ(top.Take(), all);
  }
}

TEST(TopKTest, InfinityCountsAndNanDoesNot) {
  TopK top(3);
  const float infinity = std::numeric_limits<float>::infinity();
  top.Push(std::nanf(""), 1);
  top.Push(infinity, 2);
  top.Push(-infinity, 3);
  EXPECT_THAT(top.Take(), ElementsAre(Neighbor{-infinity, 3}, Neighbor{infinity, 2}));
}

TEST(TopKTest, ZeroKeepsNothing) {
  TopK top(0);
  top.Push(-std::numeric_limits<float>::infinity(), 1);
  EXPECT_THAT(top.Take(), IsEmpty());
}

TEST(TopKTest, IsReusableAfterTakeAndReset) {
  TopK top(2);
  const float distances[] = {3, 1, 2};
  const Slot slots[] = {30, 10, 20};
  top.Push(distances, slots, 3);
  Neighbor out[2];
  EXPECT_EQ(top.TakeTo(out), 2u);
  EXPECT_EQ(out[0], (Neighbor{1, 10}));
  EXPECT_EQ(out[1], (Neighbor{2, 20}));
  top.Push(5, 50);
  EXPECT_THAT(top.Take(), ElementsAre(Neighbor{5, 50}));
  top.Push(5, 50);
  top.Reset(1);
  top.Push(7, 70);
  top.Push(6, 60);
  EXPECT_THAT(top.Take(), ElementsAre(Neighbor{6, 60}));
}

}  // namespace
}  // namespace tessera
