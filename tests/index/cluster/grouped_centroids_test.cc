#include "index/cluster/grouped_centroids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "index/cluster/random.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

// Points of a few directions with noise: as real data, they fill far less than all their space.
Matrix LowIntrinsicDimension(size_t n, size_t dim, size_t intrinsic, uint64_t seed) {
  Random directions_random(99), random(seed);
  Matrix directions(intrinsic, dim), points(n, dim);
  for (size_t i = 0; i < intrinsic * dim; ++i) {
    directions.data()[i] = static_cast<float>(directions_random.Uniform() - 0.5);
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < intrinsic; ++j) {
      const auto weight = static_cast<float>(2 * random.Uniform() - 1);
      for (size_t t = 0; t < dim; ++t) points.row(i)[t] += weight * directions.row(j)[t];
    }
    for (size_t t = 0; t < dim; ++t) {
      points.row(i)[t] += static_cast<float>(0.1 * random.Uniform());
    }
  }
  return points;
}

struct Assignment {
  Assignment(size_t n) : lists(n), distances(n) {}
  std::vector<uint32_t> lists;
  std::vector<float> distances;
};

TEST(GroupedCentroids, FewCentroidsAreSearchedExactly) {
  const Matrix centroids = LowIntrinsicDimension(500, 24, 8, 1);
  const Matrix vectors = LowIntrinsicDimension(2000, 24, 8, 2);
  InlineExecutor executor;
  const GroupedCentroids grouped(centroids, executor);
  EXPECT_EQ(grouped.groups(), 0u);
  Assignment exact(2000), got(2000);
  NearestCentroids(centroids).Assign(vectors, executor, exact.lists.data(), exact.distances.data());
  grouped.Assign(vectors, executor, got.lists.data(), got.distances.data());
  EXPECT_EQ(got.lists, exact.lists);
  EXPECT_EQ(got.distances, exact.distances);
}

TEST(GroupedCentroids, NearlyAlwaysTheNearestElseNearlyAsNear) {
  const size_t n = 5000;
  const Matrix centroids = LowIntrinsicDimension(3001, 40, 12, 3);
  const Matrix vectors = LowIntrinsicDimension(n, 40, 12, 4);
  InlineExecutor executor;
  const GroupedCentroids grouped(centroids, executor);
  ASSERT_GT(grouped.groups(), 0u);
  Assignment exact(n), got(n);
  NearestCentroids(centroids).Assign(vectors, executor, exact.lists.data(), exact.distances.data());
  grouped.Assign(vectors, executor, got.lists.data(), got.distances.data());
  size_t same = 0;
  for (size_t i = 0; i < n; ++i) {
    same += got.lists[i] == exact.lists[i];
    // What is reported is the distance to the centroid that is reported.
    double distance = 0;
    for (size_t t = 0; t < 40; ++t) {
      const double difference = double{vectors.row(i)[t]} - centroids.row(got.lists[i])[t];
      distance += difference * difference;
    }
    ASSERT_NEAR(got.distances[i], distance, 1e-3);
    ASSERT_GE(got.distances[i], exact.distances[i] - 1e-3);
  }
  EXPECT_GE(same, n * 995 / 1000);
  const double sum_exact = std::accumulate(exact.distances.begin(), exact.distances.end(), 0.0);
  const double sum_got = std::accumulate(got.distances.begin(), got.distances.end(), 0.0);
  EXPECT_LE(sum_got, 1.001 * sum_exact);
}

TEST(GroupedCentroids, SameAnswersWhateverTheBatchAndTheParallelism) {
  const size_t n = 3000;
  const Matrix centroids = LowIntrinsicDimension(2048, 16, 8, 5);
  const Matrix vectors = LowIntrinsicDimension(n, 16, 8, 6);
  InlineExecutor inline_executor;
  const GroupedCentroids grouped(centroids, inline_executor);
  Assignment want(n);
  grouped.Assign(vectors, inline_executor, want.lists.data(), want.distances.data());
  for (size_t parallelism : {2, 4}) {
    TestExecutor executor(parallelism);
    const GroupedCentroids again(centroids, executor);
    Assignment got(n);
    again.Assign(vectors, executor, got.lists.data(), got.distances.data());
    EXPECT_EQ(got.lists, want.lists);
    EXPECT_EQ(got.distances, want.distances);
  }
  for (size_t batch : {1, 7, 64}) {
    Assignment got(n);
    for (size_t i = 0; i < n; i += batch) {
      grouped.Assign(vectors.view().Rows(i, std::min(batch, n - i)), inline_executor,
                     got.lists.data() + i, nullptr);
    }
    EXPECT_EQ(got.lists, want.lists) << batch;
  }
}

TEST(GroupedCentroids, EqualCentroids) {
  Matrix centroids(2500, 4);
  const Matrix vectors = LowIntrinsicDimension(10, 4, 2, 7);
  InlineExecutor executor;
  const GroupedCentroids grouped(centroids, executor);
  Assignment got(10);
  grouped.Assign(vectors, executor, got.lists.data(), got.distances.data());
  for (uint32_t list : got.lists) EXPECT_LT(list, 2500u);
}

// Finite vectors may be so long that no sum of theirs is: they get some list.
TEST(GroupedCentroids, SumsThatOverflow) {
  Matrix centroids = LowIntrinsicDimension(3000, 24, 8, 1);
  for (size_t i = 0; i < 24; ++i) centroids.row(7)[i] = std::numeric_limits<float>::max();
  InlineExecutor executor;
  const GroupedCentroids grouped(centroids, executor);
  ASSERT_GT(grouped.groups(), 0u);
  Matrix vectors(100, 24);
  for (size_t i = 0; i < 100 * 24; ++i) {
    vectors.data()[i] = (i % 3 == 0 ? -1 : 1) * std::numeric_limits<float>::max();
  }
  Assignment got(100);
  grouped.Assign(vectors, executor, got.lists.data(), got.distances.data());
  EXPECT_THAT(got.lists, testing::Each(testing::Lt(3000u)));
}

}  // namespace
}  // namespace tessera
