#include "index/quantize/product_quantizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "index/cluster/random.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

// Sums of uniforms: roughly normal, correlated between neighbouring components.
Matrix Correlated(size_t n, size_t dim, uint64_t seed) {
  Random random(seed);
  Matrix points(n, dim);
  for (size_t i = 0; i < n; ++i) {
    double walk = 0;
    for (size_t t = 0; t < dim; ++t) {
      walk = 0.7 * walk + random.Uniform() + random.Uniform() + random.Uniform() - 1.5;
      points.row(i)[t] = static_cast<float>(walk);
    }
  }
  return points;
}

ProductQuantizer Trained(MatrixView vectors, uint32_t m, uint32_t nbits) {
  InlineExecutor executor;
  auto quantizer =
      ProductQuantizer::Train(vectors, {.subquantizers = m, .nbits = nbits}, executor, nullptr);
  EXPECT_TRUE(quantizer.ok()) << quantizer.status();
  return std::move(quantizer).value();
}

double SquaredError(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t t = 0; t < n; ++t) sum += (double{a[t]} - b[t]) * (double{a[t]} - b[t]);
  return sum;
}

double MeanSquaredError(const ProductQuantizer& quantizer, MatrixView vectors) {
  std::vector<uint8_t> codes(vectors.rows * quantizer.code_bytes());
  quantizer.Encode(vectors, codes.data());
  std::vector<float> decoded(vectors.cols);
  double sum = 0;
  for (size_t i = 0; i < vectors.rows; ++i) {
    quantizer.Decode(codes.data() + i * quantizer.code_bytes(), decoded.data());
    sum += SquaredError(vectors.row(i).data(), decoded.data(), vectors.cols);
  }
  return sum / static_cast<double>(vectors.rows);
}

uint32_t CodeOf(const ProductQuantizer& quantizer, const uint8_t* code, uint32_t j) {
  if (quantizer.nbits() == 8) return code[j];
  return j % 2 == 0 ? code[j / 2] & 15 : code[j / 2] >> 4;
}

TEST(ProductQuantizer, EncodesEveryPartAsItsNearestCodeword) {
  for (size_t dim : {1, 3, 10, 16, 37}) {
    for (uint32_t m : {1, 2, 3, 5, 16, 37}) {
      if (m > dim) continue;
      for (uint32_t nbits : {4, 8}) {
        const Matrix vectors = Correlated(700, dim, dim);
        const ProductQuantizer quantizer = Trained(vectors, m, nbits);
        const size_t sub = quantizer.sub_dimension();
        ASSERT_EQ(sub, (dim + m - 1) / m);
        std::vector<uint8_t> codes(vectors.rows() * quantizer.code_bytes() + 1, 0xAA);
        quantizer.Encode(vectors, codes.data());
        EXPECT_EQ(codes.back(), 0xAA);
        for (size_t i = 0; i < vectors.rows(); i += 7) {
          const uint8_t* code = codes.data() + i * quantizer.code_bytes();
          std::vector<float> padded(m * sub);
          std::copy(vectors.row(i).begin(), vectors.row(i).end(), padded.begin());
          for (uint32_t j = 0; j < m; ++j) {
            double least = std::numeric_limits<double>::infinity();
            for (uint32_t c = 0; c < quantizer.codewords(); ++c) {
              least = std::min(least, SquaredError(padded.data() + j * sub,
                                                   quantizer.codewords(j) + c * sub, sub));
            }
            const uint32_t number = CodeOf(quantizer, code, j);
            ASSERT_LT(number, quantizer.codewords());
            EXPECT_NEAR(
                SquaredError(padded.data() + j * sub, quantizer.codewords(j) + number * sub, sub),
                least, 1e-4);
          }
        }
      }
    }
  }
}

TEST(ProductQuantizer, ErrorFallsWithMoreSubquantizersAndMoreBits) {
  const Matrix vectors = Correlated(4000, 32, 1);
  double before = std::numeric_limits<double>::infinity();
  for (uint32_t m : {1, 2, 4, 8, 16, 32}) {
    const double four = MeanSquaredError(Trained(vectors, m, 4), vectors);
    const double eight = MeanSquaredError(Trained(vectors, m, 8), vectors);
    EXPECT_LT(four, 0.9 * before) << m;
    EXPECT_LT(eight, 0.9 * four) << m;
    before = four;
  }
}

TEST(ProductQuantizer, SameResultWhateverTheParallelism) {
  const Matrix vectors = Correlated(3000, 24, 3);
  const ProductQuantizer want = Trained(vectors, 12, 4);
  for (size_t parallelism : {2, 4}) {
    TestExecutor executor(parallelism);
    const auto other = ProductQuantizer::Train(vectors, {.subquantizers = 12}, executor, nullptr);
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(std::memcmp(want.all_codewords().data, other->all_codewords().data,
                          want.all_codewords().rows * 2 * sizeof(float)),
              0);
  }
}

TEST(ProductQuantizer, FewerVectorsThanCodewords) {
  for (size_t n : {1, 2, 100}) {
    const Matrix vectors = Correlated(n, 6, 4);
    const ProductQuantizer quantizer = Trained(vectors, 3, 8);
    EXPECT_NEAR(MeanSquaredError(quantizer, vectors), 0, 1e-3) << n;
  }
}

TEST(ProductQuantizer, AllVectorsTheSame) {
  Matrix vectors(200, 8);
  std::fill(vectors.data(), vectors.data() + 1600, -3.5f);
  EXPECT_NEAR(MeanSquaredError(Trained(vectors, 4, 4), vectors), 0, 1e-6);
}

TEST(ProductQuantizer, BadInput) {
  InlineExecutor executor;
  const Matrix vectors = Correlated(100, 8, 5);
  const auto code_of = [&](MatrixView v, const ProductQuantizerOptions& options) {
    return ProductQuantizer::Train(v, options, executor, nullptr).status().code();
  };
  EXPECT_EQ(code_of(vectors, {.subquantizers = 0}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(vectors, {.subquantizers = 9}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(vectors, {.subquantizers = 4, .nbits = 5}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(vectors.view().Rows(0, 0), {.subquantizers = 4}),
            absl::StatusCode::kInvalidArgument);
}

TEST(ProductQuantizer, CanBeCancelled) {
  class Never : public ProgressObserver {
    bool OnProgress(const char*, size_t, size_t) override { return false; }
  } observer;
  InlineExecutor executor;
  EXPECT_EQ(
      ProductQuantizer::Train(Correlated(100, 8, 6), {.subquantizers = 4}, executor, &observer)
          .status()
          .code(),
      absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace tessera
