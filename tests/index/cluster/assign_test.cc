#include "index/cluster/assign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/index/cluster/points.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

TEST(NearestCentroids, FindsTheNearestForEveryShape) {
  InlineExecutor executor;
  for (size_t dim : {1, 3, 17, 128}) {
    for (size_t n : {1, 2, 511, 513}) {
      const Matrix centroids = Uniform(n, dim, 1), vectors = Uniform(150, dim, 2);
      std::vector<uint32_t> lists(vectors.rows());
      std::vector<float> distances(vectors.rows());
      NearestCentroids(centroids).Assign(vectors, executor, lists.data(), distances.data());
      for (size_t i = 0; i < vectors.rows(); ++i) {
        double least = 1e30;
        for (size_t j = 0; j < n; ++j) {
          least = std::min(least, SquaredDistance(vectors.row(i), centroids.row(j)));
        }
        ASSERT_LT(lists[i], n);
        const double found = SquaredDistance(vectors.row(i), centroids.row(lists[i]));
        // The arithmetic is in float: an answer may be farther by its rounding.
        ASSERT_NEAR(found, least, 1e-5 * static_cast<double>(dim));
        ASSERT_NEAR(distances[i], found, 1e-5 * static_cast<double>(dim));
      }
    }
  }
}

TEST(NearestCentroids, LowestNumberAmongEquals) {
  InlineExecutor executor;
  Matrix centroids(700, 4);
  const Matrix vectors = Uniform(10, 4, 3);
  std::vector<uint32_t> lists(vectors.rows(), 5);
  NearestCentroids(centroids).Assign(vectors, executor, lists.data(), nullptr);
  EXPECT_THAT(lists, testing::Each(0u));
}

TEST(NearestCentroids, SameResultWhateverTheParallelism) {
  const Matrix centroids = Uniform(600, 24, 4), vectors = Uniform(3000, 24, 5);
  InlineExecutor inline_executor;
  const NearestCentroids nearest(centroids);
  std::vector<uint32_t> want(vectors.rows()), lists(vectors.rows());
  std::vector<float> want_distances(vectors.rows()), distances(vectors.rows());
  nearest.Assign(vectors, inline_executor, want.data(), want_distances.data());
  for (size_t parallelism : {2, 4}) {
    TestExecutor executor(parallelism);
    nearest.Assign(vectors, executor, lists.data(), distances.data());
    EXPECT_EQ(lists, want);
    EXPECT_EQ(distances, want_distances);
  }
}

}  // namespace
}  // namespace tessera
