#include "index/ivf/centroid_codes.h"

#include <tuple>

#include "index/simd/convert.h"
#include "tests/index/ivf/ivf_test_util.h"

namespace tessera {
namespace {

constexpr size_t kDim = 21;

// Rows around few centres, some farther from them than others.
Matrix Clustered(size_t rows, uint64_t seed) {
  const Matrix centres = test::RandomVectors(200, kDim, 77);
  Matrix result = test::RandomVectors(rows, kDim, seed);
  for (size_t i = 0; i < rows; ++i) {
    const float spread = 0.1f + 0.1f * static_cast<float>(i % 5);
    for (size_t d = 0; d < kDim; ++d) {
      result.row(i)[d] = centres.row(i * 31 % 200)[d] + spread * result.row(i)[d];
    }
  }
  return result;
}

// Metric, and whether the centroids lie in clusters and have addends.
class CentroidCodesTest : public testing::TestWithParam<std::tuple<Metric, bool, bool>> {
 protected:
  static constexpr size_t kCentroids = 6000, kComponents = 4;

  CentroidCodesTest()
      : centroids_(Rows(kCentroids, 1)),
        queries_(Rows(20, 2)),
        addends_(Addends()),
        whole_(centroids_, std::get<0>(GetParam()), kComponents, addends_, kCentroids + 1),
        grouped_(centroids_, std::get<0>(GetParam()), kComponents, addends_, kCentroids) {
    if (!addends_.empty()) NormalizeRows(queries_.data(), queries_.rows(), kDim);
  }

  static std::vector<float> Addends() {
    std::vector<float> addends(std::get<2>(GetParam()) ? kCentroids : 0);
    for (size_t i = 0; i < addends.size(); ++i) addends[i] = -0.5f * static_cast<float>(i % 7);
    return addends;
  }

  static Matrix Rows(size_t rows, uint64_t seed) {
    return std::get<1>(GetParam()) ? Clustered(rows, seed) : test::RandomVectors(rows, kDim, seed);
  }

  // What Scan leaves of `n` queries from the q-th on.
  std::vector<std::vector<Slot>> Scan(const CentroidCodes& codes, size_t q, size_t n,
                                      size_t wanted) {
    const size_t room = QueryScan::Capacity(wanted);
    AlignedBuffer<float> distances(n * room);
    AlignedBuffer<Slot> slots(n * room);
    std::vector<QueryScan> scans(n);
    for (size_t i = 0; i < n; ++i) {
      scans[i].scan.distances = distances.data() + i * room;
      scans[i].scan.slots = slots.data() + i * room;
    }
    codes.Scan(queries_.row(q).data(), n, wanted, scratch_, scans.data());
    std::vector<std::vector<Slot>> found;
    for (QueryScan& s : scans) {
      s.Finish();
      found.emplace_back(s.scan.slots, s.scan.slots + s.scan.count);
    }
    return found;
  }

  Matrix centroids_, queries_;
  std::vector<float> addends_;
  CentroidCodes whole_, grouped_;  // of the same codes
  CentroidCodes::Scratch scratch_;
};

TEST_P(CentroidCodesTest, GroupsMissFew) {
  for (size_t wanted : {1, 10, 33, 100, 1000}) {
    size_t hits = 0;
    for (size_t q = 0; q < queries_.rows(); ++q) {
      const std::vector<Slot> found = Scan(grouped_, q, 1, wanted)[0];
      ASSERT_EQ(found.size(), wanted);
      const std::set<Slot> different(found.begin(), found.end());
      ASSERT_EQ(different.size(), wanted);
      ASSERT_LT(*different.rbegin(), centroids_.rows());
      const std::vector<Slot> expected = Scan(whole_, q, 1, wanted)[0];
      for (Slot slot : expected) hits += different.count(slot);
    }
    EXPECT_GE(static_cast<double>(hits), 0.97 * static_cast<double>(wanted * queries_.rows()))
        << wanted;
  }
}

TEST_P(CentroidCodesTest, QueriesTogetherFindWhatTheyFindAlone) {
  for (const CentroidCodes* codes : {&whole_, &grouped_}) {
    const std::vector<std::vector<Slot>> together = Scan(*codes, 3, 4, 50);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(together[i], Scan(*codes, 3 + i, 1, 50)[0]);
  }
}

TEST_P(CentroidCodesTest, AllAreFoundIfAllAreWanted) {
  for (const CentroidCodes* codes : {&whole_, &grouped_}) {
    const std::vector<Slot> found = Scan(*codes, 0, 1, centroids_.rows())[0];
    const std::set<Slot> different(found.begin(), found.end());
    EXPECT_EQ(found.size(), centroids_.rows());
    EXPECT_EQ(different.size(), centroids_.rows());
  }
}

// The sample that thresholds come from says nothing of the other centroids.
TEST(CentroidCodes, FindsNearestOfWhichTheSampleHasAll) {
  constexpr size_t kCentroids = 6000, kNear = 512, kWanted = 100;
  Matrix centroids = test::RandomVectors(kCentroids, kDim, 3);
  std::set<Slot> near;
  for (size_t i = 0; i < kNear; ++i) {
    const size_t id = i * kCentroids / kNear;
    for (size_t d = 0; d < kDim; ++d) centroids.row(id)[d] = 20 + 0.1f * centroids.row(id)[d];
    near.insert(static_cast<Slot>(id));
  }
  const CentroidCodes codes(centroids, Metric::kL2, 4, {}, kCentroids + 1);
  const std::vector<float> query(kDim, 20.0f);
  const size_t room = QueryScan::Capacity(kWanted);
  AlignedBuffer<float> distances(room);
  AlignedBuffer<Slot> slots(room);
  QueryScan scan;
  scan.scan.distances = distances.data();
  scan.scan.slots = slots.data();
  CentroidCodes::Scratch scratch;
  codes.Scan(query.data(), 1, kWanted, scratch, &scan);
  scan.Finish();
  ASSERT_EQ(scan.scan.count, kWanted);
  for (size_t i = 0; i < kWanted; ++i) EXPECT_TRUE(near.contains(slots.data()[i]));
}

class AddendsTest : public CentroidCodesTest {};

TEST_P(AddendsTest, BringCentroidsForward) {
  std::vector<size_t> by_addend(7);
  for (size_t q = 0; q < queries_.rows(); ++q) {
    const std::vector<Slot> found = Scan(grouped_, q, 1, 100)[0];
    for (Slot slot : found) ++by_addend[slot % 7];
  }
  EXPECT_GT(by_addend[6], 2 * by_addend[0]);
}

INSTANTIATE_TEST_SUITE_P(MetricsAndData, CentroidCodesTest,
                         testing::Combine(testing::Values(Metric::kL2, Metric::kInnerProduct),
                                          testing::Bool(), testing::Values(false)));
const auto kWithAddends = testing::Combine(testing::Values(Metric::kInnerProduct), testing::Bool(),
                                           testing::Values(true));
INSTANTIATE_TEST_SUITE_P(WithAddends, CentroidCodesTest, kWithAddends);
INSTANTIATE_TEST_SUITE_P(All, AddendsTest, kWithAddends);

}  // namespace
}  // namespace tessera
