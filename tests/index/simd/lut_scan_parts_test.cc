// Tests of what surrounds the scan: making tables, and cutting candidates down.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "hwy/targets.h"
#include "index/simd/lut_scan_select.h"
#include "index/simd/lut_scan_tables.h"

namespace tessera {
namespace {

class LutScanPartsTest : public testing::TestWithParam<int64_t> {
 protected:
  LutScanPartsTest() {
    hwy::SetSupportedTargetsForTest(GetParam());
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~LutScanPartsTest() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

TEST_P(LutScanPartsTest, TablesApproximateProducts) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (uint32_t nbits : {4u, 8u}) {
    for (uint32_t m = 1; m <= 33; ++m) {
      const uint32_t dim = 1 + m % 9;
      const LutScanShape shape{m, nbits};
      const size_t entries = shape.table_entries();
      std::vector<float> codewords(m * entries * dim), query(m * dim);
      for (float& x : codewords) x = normal(rng);
      for (float& x : query) x = normal(rng);
      AlignedBuffer<uint8_t> tables(shape.tables_bytes());
      std::fill_n(tables.data(), tables.size(), uint8_t{77});
      AlignedBuffer<float> scratch(shape.tables_bytes());
      float scale, offset;
      LutScanTables(shape, dim, codewords.data())
          .Build(query.data(), -2, tables.data(), &scale, &offset, scratch.data());

      float least_sum = 0;
      int most = 0;
      for (size_t j = 0; j < m; ++j) {
        std::vector<float> exact(entries);
        for (size_t e = 0; e < entries; ++e) {
          for (size_t i = 0; i < dim; ++i) {
            exact[e] -= 2 * query[j * dim + i] * codewords[(j * entries + e) * dim + i];
          }
        }
        const float least = *std::min_element(exact.begin(), exact.end());
        least_sum += least;
        for (size_t e = 0; e < entries; ++e) {
          const int entry = tables[j * entries + e];
          most = std::max(most, entry);
          ASSERT_NEAR(entry * scale + least, exact[e], scale * 0.51f) << "m " << m << " j " << j;
        }
      }
      EXPECT_EQ(most, 255);
      EXPECT_NEAR(offset, least_sum, 1e-3);
      for (size_t e = m * entries; e < shape.tables_bytes(); ++e) ASSERT_EQ(tables[e], 0);
    }
  }
}

TEST_P(LutScanPartsTest, TablesOfZeroQueryAreFlat) {
  const LutScanShape shape{6, 4};
  std::vector<float> codewords(6 * 16 * 2, 1.5f), query(12, 0.0f);
  AlignedBuffer<uint8_t> tables(shape.tables_bytes());
  AlignedBuffer<float> scratch(shape.tables_bytes());
  float scale, offset;
  LutScanTables(shape, 2, codewords.data())
      .Build(query.data(), -2, tables.data(), &scale, &offset, scratch.data());
  EXPECT_EQ(offset, 0);
  for (size_t e = 0; e < shape.tables_bytes(); ++e) EXPECT_EQ(tables[e], 0);
}

struct Candidates {
  explicit Candidates(const std::vector<float>& values)
      : distances(values), slots(values.size() + kLutScanSlack) {
    distances.resize(values.size() + kLutScanSlack);
    for (size_t i = 0; i < values.size(); ++i) slots[i] = static_cast<Slot>(i * 7);
  }
  std::vector<float> distances;
  std::vector<Slot> slots;
};

// Returns the values that were kept.
std::vector<float> CheckKeep(const std::vector<float>& values, size_t keep_min, size_t keep_max,
                             BoundHint* hint) {
  Candidates candidates(values);
  const size_t kept = KeepSmallest(candidates.distances.data(), candidates.slots.data(),
                                   values.size(), keep_min, keep_max, hint);
  const float threshold = hint->high;
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  // Every value up to the threshold, in the old order, and no other.
  std::vector<float> expected_distances;
  std::vector<Slot> expected_slots;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] > threshold) continue;
    expected_distances.push_back(values[i]);
    expected_slots.push_back(static_cast<Slot>(i * 7));
  }
  candidates.distances.resize(kept);
  candidates.slots.resize(kept);
  EXPECT_EQ(candidates.distances, expected_distances);
  EXPECT_EQ(candidates.slots, expected_slots);
  EXPECT_GE(kept, keep_min);
  if (kept > keep_max) {
    EXPECT_EQ(sorted[keep_min - 1], sorted[kept - 1]) << "more than asked for, and not equal";
  }
  return candidates.distances;
}

void CheckKeep(const std::vector<float>& values, size_t keep_min, size_t keep_max) {
  BoundHint hint;
  CheckKeep(values, keep_min, keep_max, &hint);
}

TEST_P(LutScanPartsTest, KeepsTheSmallest) {
  std::mt19937 rng(2);
  for (size_t n = 2; n < 150; ++n) {
    std::vector<float> values(n);
    for (float& v : values) v = std::ldexp(static_cast<float>(rng()) - 2e9f, -20);
    for (size_t keep = 1; keep < n; keep += 1 + n / 16) {
      CheckKeep(values, keep, keep);
      CheckKeep(values, keep, std::min(n - 1, keep + keep / 4));
    }
  }
}

// As a scan does: what is kept, and new ones up to the bound of before.
TEST_P(LutScanPartsTest, KeepsTheSmallestOfMoreAndMore) {
  std::mt19937 rng(4);
  std::uniform_real_distribution<float> uniform;
  for (const double power : {0.05, 0.3, 1.0, 4.0}) {
    for (const size_t keep : {1, 10, 100, 250}) {
      BoundHint hint;
      std::vector<float> values;
      for (int round = 0; round < 30; ++round) {
        // Some rounds bring others than the ones before would have one expect.
        const double power_now = round % 5 == 4 ? 8 * power : power;
        const float width = std::min(hint.high, 700.0f) + 300;
        while (values.size() < 2 * keep + 64) {
          const auto share = static_cast<float>(std::pow(uniform(rng), power_now));
          values.push_back(std::min(width * share - 300, hint.high));
        }
        values = CheckKeep(values, keep, keep + keep / 8, &hint);
      }
    }
  }
}

TEST_P(LutScanPartsTest, KeepsEqualOnesTogether) {
  std::mt19937 rng(3);
  for (size_t n = 2; n < 100; ++n) {
    std::vector<float> values(n);
    for (float& v : values) v = static_cast<float>(rng() % 5) - 2;
    for (size_t keep = 1; keep < n; ++keep) CheckKeep(values, keep, keep);
    CheckKeep(std::vector<float>(n, -7.25f), n / 2, n - 1);
  }
}

TEST_P(LutScanPartsTest, KeepsAndCountsUpToABound) {
  std::mt19937 rng(5);
  for (size_t n = 0; n < 100; ++n) {
    std::vector<float> values(n);
    for (float& v : values) v = static_cast<float>(rng() % 9) - 4;
    for (const float bound : {-5.0f, -4.0f, -0.5f, 0.0f, 3.0f, 9.0f}) {
      std::vector<float> expected_distances;
      std::vector<Slot> expected_slots;
      for (size_t i = 0; i < n; ++i) {
        if (values[i] > bound) continue;
        expected_distances.push_back(values[i]);
        expected_slots.push_back(static_cast<Slot>(i * 7));
      }
      Candidates candidates(values);
      EXPECT_EQ(CountNear(candidates.distances.data(), n, bound), expected_slots.size());
      if (n > 0) {
        EXPECT_EQ(Farthest(candidates.distances.data(), n),
                  *std::max_element(values.begin(), values.end()));
      }
      const size_t kept = KeepUpTo(candidates.distances.data(), candidates.slots.data(), n, bound);
      candidates.distances.resize(kept);
      candidates.slots.resize(kept);
      EXPECT_EQ(candidates.distances, expected_distances);
      EXPECT_EQ(candidates.slots, expected_slots);
    }
  }
}

TEST_P(LutScanPartsTest, MeanOfTheNearest) {
  std::mt19937 rng(6);
  for (const uint32_t different : {3u, 1'000'000u}) {
    for (size_t n = 1; n < 150; ++n) {
      std::vector<float> values(n);
      for (float& v : values) v = static_cast<float>(rng() % different) - 2;
      std::vector<float> sorted = values;
      std::sort(sorted.begin(), sorted.end());
      sorted.resize(std::min(n, kNearestOfMean));
      const double sum = std::accumulate(sorted.begin(), sorted.end(), 0.0);
      EXPECT_DOUBLE_EQ(MeanOfNearest(values.data(), n), sum / static_cast<double>(sorted.size()));
      values[n / 2] = std::numeric_limits<float>::quiet_NaN();
      MeanOfNearest(values.data(), n);  // comes to an end
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, LutScanPartsTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const testing::TestParamInfo<int64_t>& info) {
                           return std::string(hwy::TargetName(info.param));
                         });

}  // namespace
}  // namespace tessera
