#include "index/cluster/kmeans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "index/cluster/assign.h"
#include "index/cluster/members.h"
#include "index/cluster/random.h"
#include "index/cluster/seed.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

// `clusters` groups of points within 1 of centres that are at least 100 apart.
Matrix Separable(size_t n, size_t dim, size_t clusters, uint64_t seed) {
  Random random(seed);
  Matrix points(n, dim);
  for (size_t i = 0; i < n; ++i) {
    const size_t cluster = i % clusters;
    for (size_t t = 0; t < dim; ++t) {
      points.row(i)[t] = static_cast<float>(2 * random.Uniform() - 1);
    }
    points.row(i)[cluster % dim] += 100.0f * static_cast<float>(1 + cluster / dim);
  }
  return points;
}

Matrix Uniform(size_t n, size_t dim, uint64_t seed) {
  Random random(seed);
  Matrix points(n, dim);
  for (size_t i = 0; i < n * dim; ++i) points.data()[i] = static_cast<float>(random.Uniform());
  return points;
}

bool SameBits(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), a.rows() * a.cols() * sizeof(float)) == 0;
}

bool AllFinite(const Matrix& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.rows() * matrix.cols(),
                     [](float x) { return std::isfinite(x); });
}

class CancelAt : public ProgressObserver {
 public:
  explicit CancelAt(size_t call) : call_(call) {}
  bool OnProgress(const char* phase, size_t done, size_t total) override {
    EXPECT_LE(done, total);
    EXPECT_STREQ(phase, "k-means");
    return ++calls_ < call_;
  }
  size_t calls() const { return calls_; }

 private:
  const size_t call_;
  size_t calls_ = 0;
};

TEST(KMeans, FindsSeparableClusters) {
  const size_t clusters = 24;
  const Matrix points = Separable(2400, 8, clusters, 1);
  InlineExecutor executor;
  const auto result = KMeans(points, {.clusters = clusters}, executor, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  // One centroid in each group: every point is within the group's diameter of its own.
  EXPECT_LT(result->mean_squared_error, 8.0);
  std::vector<uint32_t> lists(points.rows());
  NearestCentroids(result->centroids).Assign(points, executor, lists.data(), nullptr);
  for (size_t i = clusters; i < points.rows(); ++i) EXPECT_EQ(lists[i], lists[i % clusters]);
  EXPECT_EQ(std::set<uint32_t>(lists.begin(), lists.end()).size(), clusters);
}

TEST(KMeans, EveryPointItsOwnCluster) {
  const Matrix points = Separable(40, 5, 40, 2);
  InlineExecutor executor;
  const auto result = KMeans(points, {.clusters = 40}, executor, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(result->mean_squared_error, 0, 1e-2);
}

TEST(KMeans, OneCluster) {
  const Matrix points = Uniform(1000, 3, 3);
  InlineExecutor executor;
  const auto result = KMeans(points, {.clusters = 1}, executor, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  for (size_t t = 0; t < 3; ++t) {
    double mean = 0;
    for (size_t i = 0; i < points.rows(); ++i) mean += points.row(i)[t];
    EXPECT_NEAR(result->centroids.row(0)[t], mean / 1000, 1e-6);
  }
}

TEST(KMeans, AllPointsTheSame) {
  Matrix points(500, 6);
  std::fill(points.data(), points.data() + 3000, 0.25f);
  InlineExecutor executor;
  const auto result = KMeans(points, {.clusters = 16}, executor, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(AllFinite(result->centroids));
  EXPECT_NEAR(result->mean_squared_error, 0, 1e-6);
}

TEST(KMeans, FewDistinctPoints) {
  Matrix points(300, 4);
  for (size_t i = 0; i < points.rows(); ++i) points.row(i)[i % 3] = 10;
  InlineExecutor executor;
  const auto result = KMeans(points, {.clusters = 32}, executor, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(AllFinite(result->centroids));
  EXPECT_NEAR(result->mean_squared_error, 0, 1e-6);
}

TEST(KMeans, BadInput) {
  InlineExecutor executor;
  const Matrix points = Uniform(10, 3, 4);
  EXPECT_EQ(KMeans(points, {.clusters = 11}, executor, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(KMeans(points, {.clusters = 0}, executor, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(KMeans, SameResultWhateverTheParallelism) {
  const Matrix points = Uniform(5000, 20, 5);
  InlineExecutor inline_executor;
  const KMeansOptions options = {.clusters = 70, .iterations = 8, .seed = 9};
  const auto want = KMeans(points, options, inline_executor, nullptr);
  ASSERT_TRUE(want.ok()) << want.status();
  for (size_t parallelism : {1, 2, 4}) {
    TestExecutor executor(parallelism);
    const auto result = KMeans(points, options, executor, nullptr);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(SameBits(result->centroids, want->centroids)) << parallelism;
    EXPECT_EQ(result->mean_squared_error, want->mean_squared_error);
  }
  KMeansOptions other = options;
  other.seed = 10;
  const auto different = KMeans(points, other, inline_executor, nullptr);
  ASSERT_TRUE(different.ok());
  EXPECT_FALSE(SameBits(different->centroids, want->centroids));
}

// Enough clusters for the searches that do not compare with every centroid: they must cost next to
// nothing in error against iterations that do.
TEST(KMeans, ManyClusters) {
  const Matrix points = Uniform(9000, 8, 11);
  InlineExecutor inline_executor;
  const KMeansOptions options = {.clusters = 2300, .iterations = 8};
  const auto got = KMeans(points, options, inline_executor, nullptr);
  ASSERT_TRUE(got.ok()) << got.status();

  Random random(options.seed);
  Matrix centroids = SeedCentroids(points, options.clusters, random, inline_executor);
  std::vector<uint32_t> lists(points.rows());
  std::vector<float> errors(points.rows());
  for (size_t i = 0; i < options.iterations; ++i) {
    NearestCentroids(centroids).Assign(points, inline_executor, lists.data(), errors.data());
    MoveToMeans(points, Members(lists, options.clusters), TooFar(), inline_executor, &centroids);
  }
  double sum = 0;
  for (float error : errors) sum += error;
  EXPECT_NEAR(got->mean_squared_error, sum / 9000, 0.005 * sum / 9000);

  TestExecutor executor(3);
  const auto other = KMeans(points, options, executor, nullptr);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(SameBits(other->centroids, got->centroids));
}

TEST(KMeans, MoreIterationsFitBetter) {
  const Matrix points = Uniform(4000, 10, 6);
  InlineExecutor executor;
  const auto one = KMeans(points, {.clusters = 50, .iterations = 1}, executor, nullptr);
  const auto twenty = KMeans(points, {.clusters = 50, .iterations = 20}, executor, nullptr);
  ASSERT_TRUE(one.ok() && twenty.ok());
  EXPECT_LT(twenty->mean_squared_error, 0.9 * one->mean_squared_error);
}

TEST(KMeans, CanBeCancelledAtEveryStep) {
  const Matrix points = Uniform(2000, 8, 7);
  InlineExecutor executor;
  const KMeansOptions options = {.clusters = 40, .iterations = 5};
  CancelAt never(1'000'000);
  ASSERT_TRUE(KMeans(points, options, executor, &never).ok());
  EXPECT_GE(never.calls(), 5u);
  for (size_t call = 1; call <= never.calls(); ++call) {
    CancelAt observer(call);
    EXPECT_EQ(KMeans(points, options, executor, &observer).status().code(),
              absl::StatusCode::kCancelled);
    EXPECT_EQ(observer.calls(), call);
  }
}

TEST(Members, RepairSplitsTheLargest) {
  const Matrix points = Uniform(10, 2, 8);
  const std::vector<uint32_t> assignments = {0, 3, 3, 3, 3, 3, 3, 0, 1, 3};
  const Members members(assignments, 5);
  EXPECT_THAT(members.of(0), testing::ElementsAre(0, 7));
  EXPECT_THAT(members.of(2), testing::IsEmpty());
  EXPECT_THAT(members.of(3), testing::ElementsAre(1, 2, 3, 4, 5, 6, 9));
  Matrix centroids(5, 2);
  InlineExecutor executor;
  MoveToMeans(points, members, TooFar(), executor, &centroids);
  EXPECT_FLOAT_EQ(centroids.row(0)[1], (points.row(0)[1] + points.row(7)[1]) / 2);
  Random random(1);
  EXPECT_EQ(RepairEmptyClusters(points, members, random, &centroids), 2u);
  for (size_t repaired : {2, 4}) {
    bool is_member_of_3 = false;
    for (uint32_t id : members.of(3)) {
      is_member_of_3 |= centroids.row(repaired)[0] == points.row(id)[0];
    }
    EXPECT_TRUE(is_member_of_3) << repaired;
  }
}

}  // namespace
}  // namespace tessera
