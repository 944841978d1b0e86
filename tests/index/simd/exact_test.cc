#include "index/simd/exact.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "index/simd/reference.h"
#include "tests/index/simd/bounded_memory.h"
#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

constexpr Metric kMetrics[] = {Metric::kL2, Metric::kInnerProduct, Metric::kCosine};
constexpr ElementType kTypes[] = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kUint8,
                                  ElementType::kInt8};

bool IsInteger(ElementType type) {
  return type == ElementType::kUint8 || type == ElementType::kInt8;
}

void FillRow(ElementType type, size_t dim, std::mt19937* rng, std::byte* row) {
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < dim; ++i) {
    const float value = normal(*rng);
    const uint16_t half = reference::HalfFromFloat(value);
    const auto byte = static_cast<uint8_t>((*rng)());
    switch (type) {
      case ElementType::kFloat32:
        std::memcpy(row + 4 * i, &value, 4);
        break;
      case ElementType::kFloat16:
        std::memcpy(row + 2 * i, &half, 2);
        break;
      case ElementType::kUint8:
      case ElementType::kInt8:
        std::memcpy(row + i, &byte, 1);
        break;
    }
  }
}

std::vector<float> MakeQuery(ElementType type, size_t dim, bool integral, std::mt19937* rng) {
  std::vector<std::byte> row(dim * ElementSize(type));
  FillRow(type, dim, rng, row.data());
  std::vector<float> query(dim);
  for (size_t i = 0; i < dim; ++i) {
    query[i] = reference::Component(type, row.data(), i) + (integral ? 0.0f : 0.25f);
  }
  return query;
}

// What float rounding may add to the distance: proportional to the magnitudes that are summed.
double Tolerance(Metric metric, ElementType type, const std::vector<float>& query,
                 const std::byte* row) {
  double magnitude = 0, query_norm2 = 0, row_norm2 = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    const double q = query[i];
    const double x = reference::Component(type, row, i);
    magnitude += metric == Metric::kL2 ? (q - x) * (q - x) : std::abs(q * x);
    query_norm2 += q * q;
    row_norm2 += x * x;
  }
  if (metric == Metric::kCosine) return 1e-5;
  return 1e-5 * magnitude;
}

// The distance in 64-bit integers; float only at the very end.
float IntegerDistance(Metric metric, ElementType type, const std::vector<float>& query,
                      const std::byte* row) {
  int64_t l2 = 0, dot = 0, query_norm2 = 0, row_norm2 = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    const auto q = static_cast<int64_t>(query[i]);
    const auto x = static_cast<int64_t>(reference::Component(type, row, i));
    l2 += (q - x) * (q - x);
    dot += q * x;
    query_norm2 += q * q;
    row_norm2 += x * x;
  }
  if (metric == Metric::kL2) return static_cast<float>(l2);
  if (metric == Metric::kInnerProduct) return -static_cast<float>(dot);
  if (query_norm2 == 0 || row_norm2 == 0) return 0;
  return static_cast<float>(-static_cast<double>(dot) /
                            std::sqrt(static_cast<double>(query_norm2) * row_norm2));
}

void ExpectDistance(Metric metric, ElementType type, const std::vector<float>& query, bool integral,
                    const std::byte* row, float distance) {
  const std::string what = "metric " + std::to_string(static_cast<int>(metric)) + ", type " +
                           std::to_string(static_cast<int>(type)) + ", dim " +
                           std::to_string(query.size()) + (integral ? ", integral" : ", float");
  if (integral && IsInteger(type)) {
    ASSERT_EQ(distance, IntegerDistance(metric, type, query, row)) << what;
  } else {
    ASSERT_NEAR(distance, reference::ExactDistance(metric, type, query, row),
                Tolerance(metric, type, query, row))
        << what;
  }
}

// Rows in allocations of their own at every alignment, and the same rows one after the other.
void CheckDimension(Metric metric, ElementType type, size_t dim, bool integral) {
  std::mt19937 rng(static_cast<uint32_t>(dim) * 31 + static_cast<uint32_t>(type));
  const std::vector<float> query = MakeQuery(type, dim, integral, &rng);
  const size_t row_bytes = dim * ElementSize(type);
  constexpr size_t kRows = 5;
  TightBytes contiguous(kRows * row_bytes, /*misalignment=*/1);
  std::vector<TightBytes> rows;
  std::vector<const std::byte*> pointers;
  for (size_t i = 0; i < kRows; ++i) {
    rows.emplace_back(row_bytes, /*misalignment=*/(i * 13) % 64);
    FillRow(type, dim, &rng, rows[i].data());
    std::memcpy(contiguous.data() + i * row_bytes, rows[i].data(), row_bytes);
    pointers.push_back(rows[i].data());
  }
  std::vector<float> gathered(kRows), sequential(kRows);
  const ExactScorer scorer(metric, type, query);
  scorer.Score(pointers.data(), kRows, gathered.data());
  scorer.ScoreContiguous(contiguous.data(), kRows, sequential.data());
  EXPECT_EQ(gathered, sequential);
  for (size_t i = 0; i < kRows; ++i) {
    ExpectDistance(metric, type, query, integral, pointers[i], gathered[i]);
  }
}

void CheckAllKinds(size_t dim) {
  for (Metric metric : kMetrics) {
    for (ElementType type : kTypes) {
      CheckDimension(metric, type, dim, /*integral=*/false);
      if (IsInteger(type)) CheckDimension(metric, type, dim, /*integral=*/true);
    }
  }
}

TEST(ExactTest, EveryDimensionTo300AgreesWithTheReference) {
  ForEachTarget([] {
    for (size_t dim = 1; dim <= 300 && !testing::Test::HasFatalFailure(); ++dim) CheckAllKinds(dim);
  });
}

TEST(ExactTest, LargeDimensionsAgreeWithTheReference) {
  ForEachTarget([] {
    for (size_t dim : {1023, 4096, 32768}) CheckAllKinds(dim);
  });
}

// A row that starts right after a page that faults, and one that ends right before one.
TEST(ExactTest, ReadsNothingOutsideTheRows) {
  GuardedPages pages(2 * 300 * sizeof(float));
  std::mt19937 rng(3);
  ForEachTarget([&] {
    for (Metric metric : kMetrics) {
      for (ElementType type : kTypes) {
        for (size_t dim = 1; dim <= 300; ++dim) {
          const size_t row_bytes = dim * ElementSize(type);
          const std::byte* rows[] = {pages.begin(), pages.end() - row_bytes};
          FillRow(type, dim, &rng, pages.begin());
          FillRow(type, dim, &rng, pages.end() - row_bytes);
          const std::vector<float> query = MakeQuery(type, dim, dim % 2 == 0, &rng);
          const ExactScorer scorer(metric, type, query);
          float distances[2], last;
          scorer.Score(rows, 2, distances);
          scorer.ScoreContiguous(rows[1], 1, &last);
          EXPECT_EQ(last, distances[1]);
          for (size_t i = 0; i < 2; ++i) {
            ExpectDistance(metric, type, query, dim % 2 == 0, rows[i], distances[i]);
          }
        }
      }
    }
  });
}

TEST(ExactTest, IntegersStayExactAtTheExtremesOfTheLargestDimension) {
  const size_t dim = limits::kDimensionMax;
  ForEachTarget([&] {
    for (Metric metric : kMetrics) {
      for (ElementType type : {ElementType::kUint8, ElementType::kInt8}) {
        const bool is_signed = type == ElementType::kInt8;
        for (int query_value : {is_signed ? -128 : 0, is_signed ? 127 : 255}) {
          for (int row_value : {is_signed ? -128 : 0, is_signed ? 127 : 255}) {
            const std::vector<float> query(dim, static_cast<float>(query_value));
            const std::vector<std::byte> row(dim, static_cast<std::byte>(row_value));
            float distance;
            ExactScorer(metric, type, query).ScoreContiguous(row.data(), 1, &distance);
            ExpectDistance(metric, type, query, /*integral=*/true, row.data(), distance);
          }
        }
      }
    }
  });
}

TEST(ExactTest, EveryPairOfBytes) {
  ForEachTarget([] {
    for (Metric metric : kMetrics) {
      for (ElementType type : {ElementType::kUint8, ElementType::kInt8}) {
        for (int q = 0; q < 256; ++q) {
          const float value =
              type == ElementType::kUint8 ? static_cast<float>(q) : static_cast<float>(q - 128);
          std::vector<std::byte> rows(256);
          for (int x = 0; x < 256; ++x) rows[x] = static_cast<std::byte>(x);
          std::vector<float> distances(256);
          const std::vector<float> query = {value};
          ExactScorer(metric, type, query).ScoreContiguous(rows.data(), 256, distances.data());
          for (int x = 0; x < 256; ++x) {
            ExpectDistance(metric, type, query, /*integral=*/true, &rows[x], distances[x]);
          }
        }
      }
    }
  });
}

// More rows than are prefetched ahead, of short and of long rows; and none.
TEST(ExactTest, AnyNumberOfRows) {
  std::mt19937 rng(11);
  ForEachTarget([&] {
    for (size_t dim : {3, 128, 3000}) {
      for (size_t n : {0, 1, 2, 15, 16, 17, 100}) {
        std::vector<std::byte> rows(n * dim);
        FillRow(ElementType::kUint8, n * dim, &rng, rows.data());
        std::vector<const std::byte*> pointers(n);
        for (size_t i = 0; i < n; ++i) pointers[i] = rows.data() + (n - 1 - i) * dim;
        const std::vector<float> query = MakeQuery(ElementType::kUint8, dim, true, &rng);
        const ExactScorer scorer(Metric::kL2, ElementType::kUint8, query);
        std::vector<float> distances(n + 1, -1.0f);
        scorer.Score(pointers.data(), n, distances.data());
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ(distances[i],
                    IntegerDistance(Metric::kL2, ElementType::kUint8, query, pointers[i]));
        }
        EXPECT_EQ(distances[n], -1.0f);
      }
    }
  });
}

TEST(ExactTest, QueriesThatDoNotFitTheStoredTypeAreComparedInFloat) {
  const std::vector<std::vector<float>> queries = {
      {256, 0, 1}, {-1, 0, 1}, {0.5f, 2, 1}, {1e30f, 0, 1}, {-129, 127, 0}};
  ForEachTarget([&] {
    for (ElementType type : {ElementType::kUint8, ElementType::kInt8}) {
      for (const std::vector<float>& query : queries) {
        const std::byte row[] = {std::byte{200}, std::byte{7}, std::byte{90}};
        float distance;
        ExactScorer(Metric::kInnerProduct, type, query).ScoreContiguous(row, 1, &distance);
        ExpectDistance(Metric::kInnerProduct, type, query, /*integral=*/false, row, distance);
      }
    }
  });
}

TEST(ExactTest, ZeroVectorsHaveCosineZero) {
  ForEachTarget([] {
    for (ElementType type : kTypes) {
      const std::vector<std::byte> zeros(40 * ElementSize(type));
      float distance = -1;
      ExactScorer(Metric::kCosine, type, std::vector<float>(40, 1.0f))
          .ScoreContiguous(zeros.data(), 1, &distance);
      EXPECT_EQ(distance, 0);
      std::mt19937 rng(5);
      std::vector<std::byte> row(40 * ElementSize(type));
      FillRow(type, 40, &rng, row.data());
      ExactScorer(Metric::kCosine, type, std::vector<float>(40, 0.0f))
          .ScoreContiguous(row.data(), 1, &distance);
      EXPECT_EQ(distance, 0);
    }
  });
}

TEST(ExactTest, OverflowAndUnderflowOfFloatStayInRange) {
  const float huge = std::numeric_limits<float>::max();
  const float tiny = 1e-35f;
  const auto distance = [](Metric metric, std::vector<float> query, std::vector<float> row) {
    float result;
    ExactScorer(metric, ElementType::kFloat32, query)
        .ScoreContiguous(reinterpret_cast<const std::byte*>(row.data()), 1, &result);
    return result;
  };
  ForEachTarget([&] {
    EXPECT_EQ(distance(Metric::kL2, {huge, huge}, {-huge, 0}), huge);
    EXPECT_EQ(distance(Metric::kInnerProduct, {huge, huge}, {huge, huge}), -huge);
    EXPECT_EQ(distance(Metric::kInnerProduct, {huge, huge}, {huge, -huge}), 0);
    EXPECT_NEAR(distance(Metric::kCosine, {huge, huge}, {huge, huge}), -1, 1e-6);
    EXPECT_NEAR(distance(Metric::kCosine, {huge, 0}, {huge, huge}), -std::sqrt(0.5), 1e-6);
    EXPECT_NEAR(distance(Metric::kCosine, {tiny, 0}, {-tiny, tiny}), std::sqrt(0.5), 1e-6);
  });
}

TEST(ExactTest, ResetIsANewScorer) {
  std::mt19937 rng(9);
  ExactScorer scorer(Metric::kCosine, ElementType::kInt8,
                     MakeQuery(ElementType::kInt8, 77, true, &rng));
  for (Metric metric : kMetrics) {
    for (ElementType type : kTypes) {
      const std::vector<float> query = MakeQuery(type, 30, IsInteger(type), &rng);
      std::vector<std::byte> row(30 * ElementSize(type));
      FillRow(type, 30, &rng, row.data());
      scorer.Reset(metric, type, query);
      float distance;
      scorer.ScoreContiguous(row.data(), 1, &distance);
      ExpectDistance(metric, type, query, IsInteger(type), row.data(), distance);
    }
  }
}

}  // namespace
}  // namespace tessera
