#include "index/ivf/near_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "index/base/types.h"

namespace tessera {
namespace {

std::vector<Neighbor> RandomLists(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<Neighbor> lists;
  for (uint32_t i = 0; i < n; ++i) lists.push_back({static_cast<float>(rng() % 10'000) - 100, i});
  return lists;
}

void ExpectNearestFirst(std::vector<Neighbor> lists, size_t count) {
  std::vector<Neighbor> sorted = lists;
  std::sort(sorted.begin(), sorted.end());
  NearestFirst(lists, count);
  if (count > 0 && count < lists.size()) {
    const auto at = lists.begin() + static_cast<std::ptrdiff_t>(count);
    const auto by_distance = [](const Neighbor& a, const Neighbor& b) {
      return a.distance < b.distance;
    };
    EXPECT_LE(std::max_element(lists.begin(), at, by_distance)->distance,
              std::min_element(at, lists.end(), by_distance)->distance)
        << count << " of " << lists.size();
  }
  std::sort(lists.begin(), lists.end());
  EXPECT_EQ(lists, sorted) << "all are still there";
}

TEST(NearestFirst, EveryCount) {
  for (size_t n = 0; n < 60; ++n) {
    for (size_t count = 0; count <= n + 1; ++count) {
      ExpectNearestFirst(RandomLists(n, static_cast<uint32_t>(n)), count);
    }
  }
  for (size_t count : {1, 10, 700, 999}) ExpectNearestFirst(RandomLists(1000, 1), count);
}

TEST(NearestFirst, DistancesThatAreNoNumbersAnyMore) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<Neighbor> lists = RandomLists(100, 2);
  for (size_t i = 0; i < 50; ++i) lists[i * 2].distance = kInfinity;
  lists[1].distance = -kInfinity;
  ExpectNearestFirst(lists, 1);
  ExpectNearestFirst(lists, 20);
  ExpectNearestFirst(lists, 70);
}

}  // namespace
}  // namespace tessera
