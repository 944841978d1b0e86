#include "index/quantize/scalar_sieve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "index/base/matrix.h"
#include "tests/index/low_rank.h"

namespace tessera {
namespace {

constexpr size_t kVectors = 2'000;
constexpr size_t kDim = 96;

class ScalarSieveTest : public testing::TestWithParam<Metric> {
 protected:
  ScalarSieveTest()
      : vectors_(test::LowRank(kVectors, kDim, 30, 0.05f, 1)),
        queries_(test::LowRank(20, kDim, 30, 0.05f, 2)),
        codes_(kVectors * ScalarRowBytes(kDim)) {
    for (size_t i = 0; i < kVectors; ++i) {
      EncodeScalar(GetParam(), vectors_.row(i), &codes_[i * ScalarRowBytes(kDim)]);
    }
  }

  // What is left of all vectors, those whose slot is a multiple of `without` having no code.
  std::set<Slot> Sift(size_t query, size_t k, size_t without) {
    std::vector<Slot> slots(kVectors);
    std::iota(slots.begin(), slots.end(), Slot{0});
    std::vector<const std::byte*> rows(kVectors);
    for (size_t i = 0; i < kVectors; ++i) {
      rows[i] = i % without == 0 ? nullptr : &codes_[i * ScalarRowBytes(kDim)];
    }
    compared_ = 0;
    sieve_.SetQuery(GetParam(), queries_.row(query));
    // In two parts, as searches do.
    sieve_.Add(rows.data(), kVectors / 3, &compared_);
    sieve_.Add(rows.data() + kVectors / 3, kVectors - kVectors / 3, &compared_);
    const size_t left = sieve_.Sift(k, slots.data());
    return {slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(left)};
  }
  std::vector<Slot> Nearest(size_t query, size_t k) const {
    std::vector<float> distances(kVectors);
    ExactScorer(GetParam(), ElementType::kFloat32, queries_.row(query))
        .ScoreContiguous(reinterpret_cast<const std::byte*>(vectors_.data()), kVectors,
                         distances.data());
    std::vector<Slot> slots(kVectors);
    std::iota(slots.begin(), slots.end(), Slot{0});
    std::sort(slots.begin(), slots.end(),
              [&](Slot a, Slot b) { return distances[a] < distances[b]; });
    slots.resize(k);
    return slots;
  }

  const Matrix vectors_, queries_;
  std::vector<std::byte> codes_;
  ScalarSieve sieve_;
  uint64_t compared_ = 0;
};

TEST_P(ScalarSieveTest, LeavesFewAndTheNearestAmongThem) {
  for (const size_t k : {1, 10, 100}) {
    size_t left = 0;
    for (size_t q = 0; q < queries_.rows(); ++q) {
      const std::set<Slot> found = Sift(q, k, kVectors + 1);
      for (const Slot slot : Nearest(q, k)) EXPECT_EQ(found.count(slot), 1u);
      left += found.size();
    }
    EXPECT_GE(left, k * queries_.rows());
    EXPECT_LT(left, (2 * k + 1) * queries_.rows());  // one vector has no code
  }
}

TEST_P(ScalarSieveTest, WhatHasNoCodeStays) {
  const std::set<Slot> found = Sift(0, 10, 3);
  for (Slot slot = 0; slot < kVectors; slot += 3) EXPECT_EQ(found.count(slot), 1u);
  EXPECT_EQ(compared_, kVectors - (kVectors + 2) / 3);
  EXPECT_LT(found.size(), (kVectors + 2) / 3 + 30);
}

TEST_P(ScalarSieveTest, NothingGoesWhereAllAreWanted) {
  EXPECT_EQ(Sift(0, kVectors, kVectors + 1).size(), kVectors);
  // With fewer codes than are wanted, nothing is known of the k-th.
  EXPECT_EQ(Sift(0, kVectors - 1, 2).size(), kVectors);
}

TEST_P(ScalarSieveTest, EstimatesAreNearTheDistances) {
  Sift(3, 10, 4);
  const ExactScorer scorer(GetParam(), ElementType::kFloat32, queries_.row(3));
  for (size_t i = 0; i < kVectors; ++i) {
    const auto* row = reinterpret_cast<const std::byte*>(vectors_.row(i).data());
    float distance;
    scorer.Score(&row, 1, &distance);
    if (i % 4 == 0) {
      EXPECT_EQ(sieve_.Estimate(i), std::numeric_limits<float>::max());
    } else {
      EXPECT_NEAR(sieve_.Estimate(i), distance, 0.02 * (1 + std::abs(distance)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, ScalarSieveTest,
                         testing::Values(Metric::kL2, Metric::kInnerProduct, Metric::kCosine));

}  // namespace
}  // namespace tessera
