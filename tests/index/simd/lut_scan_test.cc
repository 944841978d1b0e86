#include "index/simd/lut_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif
#include <algorithm>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "hwy/targets.h"
#include "index/base/buffer.h"

namespace tessera {
namespace {

// Restricts dispatch to one instruction set while it lives.
class ScopedTarget {
 public:
  explicit ScopedTarget(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~ScopedTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

// Random codes, packed, with random tables for several queries. Scales and biases are small
// multiples of powers of two, so that every order of float operations gives the same distances.
struct Problem {
  Problem(uint32_t m, uint32_t nbits, size_t n, size_t num_queries, uint32_t seed)
      : shape{m, nbits}, n(n), rng(seed) {
    codes.resize(n * shape.code_bytes());
    for (uint8_t& byte : codes) byte = static_cast<uint8_t>(rng());
    if (nbits == 4 && m % 2 == 1) {  // the last nibble of a code is always zero
      for (size_t i = 0; i < n; ++i) codes[(i + 1) * shape.code_bytes() - 1] &= 15;
    }
    for (size_t i = 0; i < n; ++i) {
      biases.push_back(static_cast<float>(rng() % 1000) * 0.5f);
      slots.push_back(static_cast<Slot>(rng()));
    }
    blocks = AlignedBuffer<uint8_t>(num_blocks() * shape.block_bytes());
    for (size_t b = 0; b < num_blocks(); ++b) LutScanClear(shape, block(b));
    for (size_t i = 0; i < n; ++i) {
      LutScanPut(shape, block(i / kLutScanBlockVectors), i % kLutScanBlockVectors,
                 &codes[i * shape.code_bytes()], biases[i], slots[i]);
    }
    for (size_t q = 0; q < num_queries; ++q) {
      AlignedBuffer<uint8_t> table(shape.tables_bytes());
      for (size_t e = 0; e < size_t{m} * shape.table_entries(); ++e) {
        // The last query's entries are the largest, which is where sums would overflow.
        table[e] = q + 1 == num_queries ? 255 : static_cast<uint8_t>(rng());
      }
      tables.push_back(std::move(table));
    }
  }

  size_t num_blocks() const { return (n + kLutScanBlockVectors - 1) / kLutScanBlockVectors; }
  uint8_t* block(size_t b) { return blocks.data() + b * shape.block_bytes(); }

  uint32_t CodeOf(size_t i, size_t j) const {
    const uint8_t* code = &codes[i * shape.code_bytes()];
    return shape.nbits == 8 ? code[j] : (code[j / 2] >> (j % 2 * 4)) & 15;
  }
  float Distance(size_t q, size_t i) const {
    uint32_t sum = 0;
    for (size_t j = 0; j < shape.subquantizers; ++j) {
      sum += tables[q][j * shape.table_entries() + CodeOf(i, j)];
    }
    return static_cast<float>(sum) * Scale(q) + biases[i] + Offset(q);
  }
  static float Scale(size_t q) { return 0.25f * static_cast<float>(q + 1); }
  static float Offset(size_t q) { return 8.0f * static_cast<float>(q); }

  // Scans with the given threshold per query and compares with the sums taken one by one. The last
  // block is one of the others, or the tail.
  void CheckScan(const std::vector<float>& thresholds) {
    CheckScan(thresholds, {blocks.data(), num_blocks()});
    CheckScan(thresholds, {blocks.data(), num_blocks() - 1, block(num_blocks() - 1)});
  }
  void CheckScan(const std::vector<float>& thresholds, const LutScanBlocks& scanned) {
    const size_t room = n + kLutScanBlockVectors + kLutScanSlack;
    std::vector<std::vector<float>> distances(thresholds.size(), std::vector<float>(room));
    std::vector<std::vector<Slot>> found(thresholds.size(), std::vector<Slot>(room));
    std::vector<LutScanQuery> queries(thresholds.size());
    std::vector<LutScanQuery*> pointers;
    for (size_t q = 0; q < queries.size(); ++q) {
      pointers.push_back(&queries[q]);
      queries[q] = {tables[q].data(),    Scale(q),        Offset(q), thresholds[q],
                    distances[q].data(), found[q].data(), 0};
    }
    LutScan(shape, scanned, pointers.data(), pointers.size());
    for (size_t q = 0; q < queries.size(); ++q) {
      std::vector<std::pair<float, Slot>> expected, actual;
      for (size_t i = 0; i < n; ++i) {
        if (Distance(q, i) < thresholds[q]) expected.emplace_back(Distance(q, i), slots[i]);
      }
      ASSERT_LE(queries[q].count, n);
      for (size_t i = 0; i < queries[q].count; ++i) {
        actual.emplace_back(distances[q][i], found[q][i]);
      }
      std::sort(expected.begin(), expected.end());
      std::sort(actual.begin(), actual.end());
      ASSERT_EQ(actual, expected) << "m " << shape.subquantizers << " nbits " << shape.nbits
                                  << " n " << n << " query " << q << " of " << queries.size();
    }
  }

  // Scans for the first query, of each block only some lanes, none of some blocks.
  void CheckMasked(float threshold) {
    std::vector<uint32_t> lanes(num_blocks());
    for (uint32_t& bits : lanes) bits = rng() % 3 == 0 ? 0 : static_cast<uint32_t>(rng() & rng());
    const size_t room = n + kLutScanBlockVectors + kLutScanSlack;
    std::vector<float> distances(room);
    std::vector<Slot> found(room);
    LutScanQuery query = {tables[0].data(), Scale(0),     Offset(0), threshold,
                          distances.data(), found.data(), 0};
    LutScanMasked(shape, blocks.data(), num_blocks(), lanes.data(), &query);
    std::vector<std::pair<float, Slot>> expected, actual;
    for (size_t i = 0; i < n; ++i) {
      const bool allowed = lanes[i / kLutScanBlockVectors] >> (i % kLutScanBlockVectors) & 1;
      if (allowed && Distance(0, i) < threshold) expected.emplace_back(Distance(0, i), slots[i]);
    }
    for (size_t i = 0; i < query.count; ++i) actual.emplace_back(distances[i], found[i]);
    std::sort(expected.begin(), expected.end());
    std::sort(actual.begin(), actual.end());
    ASSERT_EQ(actual, expected) << "m " << shape.subquantizers << " nbits " << shape.nbits << " n "
                                << n;
  }

  // A threshold that about the given share of vectors is below.
  float Quantile(size_t q, double share) const {
    std::vector<float> all;
    for (size_t i = 0; i < n; ++i) all.push_back(Distance(q, i));
    std::sort(all.begin(), all.end());
    return all[static_cast<size_t>(share * static_cast<double>(n - 1))];
  }

  LutScanShape shape;
  size_t n;
  std::mt19937 rng;
  std::vector<uint8_t> codes;
  std::vector<float> biases;
  std::vector<Slot> slots;
  AlignedBuffer<uint8_t> blocks;
  std::vector<AlignedBuffer<uint8_t>> tables;
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class LutScanTest : public testing::TestWithParam<int64_t> {
 protected:
  ScopedTarget target_{GetParam()};
};

TEST_P(LutScanTest, GivesBackWhatWasPut) {
  for (uint32_t nbits : {4u, 8u}) {
    for (uint32_t m = 1; m <= 70; ++m) {
      Problem problem(m, nbits, 67, 0, m);
      std::vector<uint8_t> code(problem.shape.code_bytes());
      for (size_t i = 0; i < problem.n; ++i) {
        const uint8_t* block = problem.block(i / kLutScanBlockVectors);
        const size_t lane = i % kLutScanBlockVectors;
        LutScanGet(problem.shape, block, lane, code.data());
        ASSERT_TRUE(std::equal(code.begin(), code.end(), &problem.codes[i * code.size()]))
            << "m " << m << " nbits " << nbits << " vector " << i;
        ASSERT_EQ(LutScanBias(problem.shape, block, lane), problem.biases[i]);
        ASSERT_EQ(LutScanSlot(problem.shape, block, lane), problem.slots[i]);
      }
    }
  }
}

TEST_P(LutScanTest, EveryNumberOfSubquantizers) {
  for (uint32_t nbits : {4u, 8u}) {
    for (uint32_t m = 1; m <= 130; ++m) {
      Problem problem(m, nbits, 90, 5, m);
      problem.CheckScan({kInfinity, kInfinity, kInfinity, kInfinity, kInfinity});
      problem.CheckScan({problem.Quantile(0, 0.1)});
    }
  }
}

TEST_P(LutScanTest, EveryNumberOfVectorsAndQueries) {
  for (uint32_t nbits : {4u, 8u}) {
    for (size_t n = 1; n <= 200; ++n) {
      Problem problem(18, nbits, n, 7, static_cast<uint32_t>(n));
      const size_t num_queries = 1 + n % 7;
      std::vector<float> thresholds;
      for (size_t q = 0; q < num_queries; ++q) thresholds.push_back(problem.Quantile(q, 0.5));
      problem.CheckScan(thresholds);
      problem.CheckScan(std::vector<float>(num_queries, kInfinity));
      problem.CheckScan(std::vector<float>(num_queries, -kInfinity));
    }
  }
}

TEST_P(LutScanTest, OnlyTheLanesOfAMask) {
  for (uint32_t nbits : {4u, 8u}) {
    for (size_t n = 1; n <= 400; ++n) {
      Problem problem(1 + static_cast<uint32_t>(n) % 40, nbits, n, 1, static_cast<uint32_t>(n));
      problem.CheckMasked(kInfinity);
      problem.CheckMasked(problem.Quantile(0, 0.5));
    }
  }
}

TEST_P(LutScanTest, ManySubquantizersDoNotOverflow) {
  for (uint32_t nbits : {4u, 8u}) {
    for (uint32_t m : {255u, 256u, 257u, 258u, 260u, 513u, 1000u, 4096u}) {
      Problem problem(m, nbits, 70, 2, m);
      problem.CheckScan({kInfinity, kInfinity});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, LutScanTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const testing::TestParamInfo<int64_t>& info) {
                           return std::string(hwy::TargetName(info.param));
                         });

}  // namespace
}  // namespace tessera
