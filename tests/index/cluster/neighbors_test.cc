#include "index/cluster/neighbors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "index/cluster/assign.h"
#include "index/cluster/random.h"
#include "tests/index/cluster/points.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

TEST(CentroidNeighbors, AreTheNearest) {
  InlineExecutor executor;
  for (const auto& [n, count] : {std::pair<size_t, size_t>{300, 20}, {70, 70}, {200, 1}}) {
    const Matrix centroids = Uniform(n, 9, n);
    const CentroidNeighbors neighbors(centroids, count, executor);
    for (size_t c = 0; c < n; c += 3) {
      const std::span<const uint32_t> ids = neighbors.of(c);
      ASSERT_EQ(ids.size(), count);
      EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
      EXPECT_TRUE(std::binary_search(ids.begin(), ids.end(), c));
      double farthest = 0;
      for (uint32_t id : ids) {
        farthest = std::max(farthest, SquaredDistance(centroids.row(c), centroids.row(id)));
      }
      for (uint32_t id = 0; id < n; ++id) {
        if (std::binary_search(ids.begin(), ids.end(), id)) continue;
        ASSERT_GE(SquaredDistance(centroids.row(c), centroids.row(id)), farthest - 1e-5);
      }
    }
  }
}

// Finite centroids may be so long that no sum of theirs is finite.
TEST(CentroidNeighbors, SumsThatOverflow) {
  InlineExecutor executor;
  Matrix centroids = Uniform(200, 9, 1);
  for (size_t i = 0; i < 100 * 9; ++i) {
    centroids.data()[i] = (i % 3 == 0 ? -1 : 1) * std::numeric_limits<float>::max();
  }
  const CentroidNeighbors neighbors(centroids, 20, executor);
  for (size_t c = 0; c < 200; ++c) {
    const std::span<const uint32_t> ids = neighbors.of(c);
    EXPECT_TRUE(std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<uint32_t>()) ==
                ids.end());
    EXPECT_LT(ids.back(), 200u);
  }
  std::vector<uint32_t> lists(200, 999);
  std::vector<float> distances(200);
  const std::vector<uint32_t> before(200, 3);
  AssignAmongNeighbors(centroids, centroids, neighbors, Members(before, 200), executor,
                       lists.data(), distances.data());
  EXPECT_THAT(lists, testing::Each(testing::Lt(200u)));
}

TEST(AssignAmongNeighbors, FindsTheNearestOfThem) {
  const Matrix centroids = Uniform(150, 6, 1), points = Uniform(4000, 6, 2);
  InlineExecutor executor;
  const CentroidNeighbors neighbors(centroids, 40, executor);
  Random random(3);
  std::vector<uint32_t> before(points.rows()), lists(points.rows(), 999);
  for (uint32_t& list : before) list = static_cast<uint32_t>(random.Below(150));
  std::vector<float> distances(points.rows());
  const Members members(before, 150);
  AssignAmongNeighbors(points, centroids, neighbors, members, executor, lists.data(),
                       distances.data());
  for (size_t i = 0; i < points.rows(); ++i) {
    double least = 1e30;
    const std::span<const uint32_t> ids = neighbors.of(before[i]);
    for (uint32_t id : ids) {
      least = std::min(least, SquaredDistance(points.row(i), centroids.row(id)));
    }
    ASSERT_TRUE(std::binary_search(ids.begin(), ids.end(), lists[i]));
    EXPECT_NEAR(SquaredDistance(points.row(i), centroids.row(lists[i])), least, 1e-5);
    EXPECT_NEAR(distances[i], least, 1e-5);
  }
}

TEST(AssignAmongNeighbors, AllNeighborsAreAFullSearch) {
  const Matrix centroids = Uniform(100, 6, 4), points = Uniform(1000, 6, 5);
  TestExecutor executor(3);
  const CentroidNeighbors neighbors(centroids, 100, executor);
  const std::vector<uint32_t> before(points.rows(), 7);
  std::vector<uint32_t> lists(points.rows()), want(points.rows());
  std::vector<float> distances(points.rows());
  AssignAmongNeighbors(points, centroids, neighbors, Members(before, 100), executor, lists.data(),
                       distances.data());
  NearestCentroids(centroids).Assign(points, executor, want.data(), nullptr);
  EXPECT_EQ(lists, want);
}

}  // namespace
}  // namespace tessera
