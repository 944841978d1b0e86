#include "index/quantize/scalar_code.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "index/base/matrix.h"
#include "tests/index/low_rank.h"

namespace tessera {
namespace {

constexpr std::byte kUntouched{0xA5};

// Coded rows one after the other, and where each begins.
struct Rows {
  explicit Rows(size_t dim) : bytes(ScalarRowBytes(dim)) {}

  void Add(Metric metric, std::span<const float> vector) {
    memory.resize(memory.size() + bytes, kUntouched);
    EncodeScalar(metric, vector, memory.data() + memory.size() - bytes);
  }
  std::vector<const std::byte*> pointers() const {
    std::vector<const std::byte*> rows;
    for (size_t at = 0; at < memory.size(); at += bytes) rows.push_back(memory.data() + at);
    return rows;
  }

  size_t bytes;
  std::vector<std::byte> memory;
};

std::vector<float> Exact(Metric metric, MatrixView vectors, std::span<const float> query) {
  std::vector<float> distances(vectors.rows);
  ExactScorer(metric, ElementType::kFloat32, query)
      .ScoreContiguous(reinterpret_cast<const std::byte*>(vectors.data), vectors.rows,
                       distances.data());
  return distances;
}

struct Bounds {
  std::vector<float> lower;
  std::vector<float> upper;
};

Bounds BoundsOf(ScalarScorer& scorer, const std::vector<const std::byte*>& rows) {
  Bounds bounds{std::vector<float>(rows.size()), std::vector<float>(rows.size())};
  scorer.Bound(rows.data(), rows.size(), bounds.lower.data(), bounds.upper.data());
  return bounds;
}

class ScalarCodeTest : public testing::TestWithParam<std::tuple<Metric, size_t>> {};

TEST_P(ScalarCodeTest, TheExactDistanceIsWithinNarrowBounds) {
  const auto [metric, dim] = GetParam();
  const Matrix vectors = test::LowRank(300, dim, std::min<size_t>(dim, 20), 0.05f, 1);
  const Matrix queries = test::LowRank(5, dim, std::min<size_t>(dim, 20), 0.05f, 2);
  Rows rows(dim);
  for (size_t i = 0; i < vectors.rows(); ++i) rows.Add(metric, vectors.row(i));
  const auto pointers = rows.pointers();
  ScalarScorer scorer(metric, queries.row(0));
  double width = 0, spread = 0;
  for (size_t q = 0; q < queries.rows(); ++q) {
    scorer.Reset(metric, queries.row(q));
    const Bounds bounds = BoundsOf(scorer, pointers);
    const std::vector<float> exact = Exact(metric, vectors.view(), queries.row(q));
    for (size_t i = 0; i < exact.size(); ++i) {
      ASSERT_LE(bounds.lower[i], exact[i]) << "query " << q << ", vector " << i;
      ASSERT_GE(bounds.upper[i], exact[i]) << "query " << q << ", vector " << i;
      width += bounds.upper[i] - bounds.lower[i];
    }
    const auto [least, most] = std::minmax_element(exact.begin(), exact.end());
    spread += *most - *least;
  }
  EXPECT_LT(width / static_cast<double>(vectors.rows()), 0.03 * spread);
}

std::string NameOf(const testing::TestParamInfo<ScalarCodeTest::ParamType>& param) {
  const auto [metric, dim] = param.param;
  const char* name = metric == Metric::kL2       ? "L2"
                     : metric == Metric::kCosine ? "Cosine"
                                                 : "InnerProduct";
  return std::string(name) + "_" + std::to_string(dim);
}

INSTANTIATE_TEST_SUITE_P(
    All, ScalarCodeTest,
    testing::Combine(testing::Values(Metric::kL2, Metric::kInnerProduct, Metric::kCosine),
                     testing::Values<size_t>(1, 2, 3, 15, 16, 17, 64, 100, 768)),
    NameOf);

// Squares are so small that floats hold few bits of them, or none.
TEST(ScalarCode, BoundsSayWhatUnderflowDoes) {
  for (Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    for (float scale : {1e-20f, 1e-22f, 1e-24f}) {
      Matrix vectors = test::LowRank(200, 33, 20, 0.05f, 3);
      for (float& x : std::span(vectors.data(), vectors.rows() * vectors.cols())) x *= scale;
      Rows rows(33);
      for (size_t i = 0; i < vectors.rows(); ++i) rows.Add(metric, vectors.row(i));
      for (size_t q = 0; q < 20; ++q) {
        ScalarScorer scorer(metric, vectors.row(q));
        const Bounds bounds = BoundsOf(scorer, rows.pointers());
        const std::vector<float> exact = Exact(metric, vectors.view(), vectors.row(q));
        for (size_t i = 0; i < exact.size(); ++i) {
          ASSERT_LE(bounds.lower[i], exact[i]) << scale << ", vector " << i;
          ASSERT_GE(bounds.upper[i], exact[i]) << scale << ", vector " << i;
        }
      }
    }
  }
}

// Sums of squares are a million each where the distances are about one.
TEST(ScalarCode, BoundsSayWhatRoundingDoes) {
  Matrix vectors = test::LowRank(200, 96, 20, 0.05f, 3);
  for (size_t i = 0; i < vectors.rows(); ++i) {
    if (i % 2 == 0) {
      for (float& x : vectors.row(i)) x += 1000;
    } else {
      vectors.row(i)[i % 96] -= 1000;  // all codes but one are of what the offset takes away again
    }
  }
  Rows rows(96);
  for (size_t i = 0; i < vectors.rows(); ++i) rows.Add(Metric::kL2, vectors.row(i));
  const auto pointers = rows.pointers();
  for (size_t q = 0; q < 20; ++q) {
    ScalarScorer scorer(Metric::kL2, vectors.row(q));
    const Bounds bounds = BoundsOf(scorer, pointers);
    const std::vector<float> exact = Exact(Metric::kL2, vectors.view(), vectors.row(q));
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_LE(bounds.lower[i], exact[i]) << i;
      EXPECT_GE(bounds.upper[i], exact[i]) << i;
    }
  }
}

TEST(ScalarCode, RowsOfAnyFiniteVectorAreThereAndFinite) {
  const float most = 1e15f, least = std::numeric_limits<float>::denorm_min();
  const std::vector<std::vector<float>> vectors = {
      {0, 0, 0},       {7, 7, 7},          {most, -most, 0},      {most, most, most},
      {1e-30f, 0, -0}, {least, 0, -least}, {-5, -5, -5.0000005f}, {1e15f, 1e-15f, 1}};
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    Rows rows(3);
    for (const auto& vector : vectors) rows.Add(metric, vector);
    const auto pointers = rows.pointers();
    for (const auto& query : vectors) {
      ScalarScorer scorer(metric, query);
      const Bounds bounds = BoundsOf(scorer, pointers);
      for (size_t i = 0; i < vectors.size(); ++i) {
        uint32_t first = 0;
        std::memcpy(&first, pointers[i], sizeof(first));
        EXPECT_NE(first, 0u) << i;
        EXPECT_TRUE(std::isfinite(bounds.lower[i]) && std::isfinite(bounds.upper[i])) << i;
        const float exact = Exact(metric, {vectors[i].data(), 1, 3}, query)[0];
        EXPECT_LE(bounds.lower[i], exact) << i;
        EXPECT_GE(bounds.upper[i], exact) << i;
      }
    }
  }
}

TEST(ScalarCode, WritesItsRowAndNothingElse) {
  for (size_t dim = 1; dim < 70; ++dim) {
    const Matrix vector = test::LowRank(1, dim, 1, 0.5f, 4);
    std::vector<std::byte> memory(ScalarRowBytes(dim) + 32, kUntouched);
    EncodeScalar(Metric::kL2, vector.row(0), memory.data() + 3);  // unaligned
    std::vector<std::byte> again(memory.size(), std::byte{0});
    EncodeScalar(Metric::kL2, vector.row(0), again.data() + 3);
    EXPECT_TRUE(std::equal(memory.begin() + 3, memory.begin() + 3 + ScalarRowBytes(dim),
                           again.begin() + 3));
    EXPECT_EQ(std::count(memory.begin(), memory.begin() + 3, kUntouched), 3);
    EXPECT_EQ(std::count(memory.end() - 29, memory.end(), kUntouched), 29);
  }
}

}  // namespace
}  // namespace tessera
