#include "index/codebook/codebook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "index/cluster/random.h"
#include "index/simd/convert.h"
#include "tests/index/codebook/codebook_test_util.h"
#include "tests/index/low_rank.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

using CodebookPtr = std::shared_ptr<const Codebook>;

Matrix Uniform(size_t n, size_t dim, uint64_t seed) {
  Random random(seed);
  Matrix points(n, dim);
  for (size_t i = 0; i < n * dim; ++i) {
    points.data()[i] = static_cast<float>(4 * random.Uniform() - 1);
  }
  return points;
}

CodebookSpec SmallSpec(Metric metric, uint32_t nbits = 4, uint32_t subquantizers = 7) {
  return {.metric = metric,
          .dimension = 18,
          .nlist = 20,
          .subquantizers = subquantizers,
          .nbits = nbits};
}

CodebookPtr Trained(const CodebookSpec& spec, MatrixView sample) {
  InlineExecutor executor;
  auto codebook = Codebook::Train(spec, sample, executor, nullptr);
  EXPECT_TRUE(codebook.ok()) << codebook.status();
  return codebook.ok() ? *codebook : nullptr;
}

EncodedVectors Encoded(const Codebook& codebook, MatrixView vectors) {
  InlineExecutor executor;
  EncodedVectors encoded;
  codebook.Encode(vectors, executor, &encoded);
  return encoded;
}

double SquaredDistance(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t t = 0; t < n; ++t) sum += (double{a[t]} - b[t]) * (double{a[t]} - b[t]);
  return sum;
}

double Dot(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t t = 0; t < n; ++t) sum += double{a[t]} * b[t];
  return sum;
}

// Metric, bits, and whether the vectors lie in a few directions, so that residuals are rotated.
class CodebookMetrics : public testing::TestWithParam<std::tuple<Metric, uint32_t, bool>> {
 protected:
  static Matrix Vectors(size_t n, size_t dim, uint32_t seed) {
    return std::get<2>(GetParam()) ? test::LowRank(n, dim, 5, 0.02f, seed) : Uniform(n, dim, seed);
  }
};

// What a search computes from a code, its bias, its list and the one table must be the distance (or
// inner product) of the query to the decoded vector.
TEST_P(CodebookMetrics, OneTableGivesTheDistanceToTheDecodedVector) {
  const auto [metric, nbits, rotated] = GetParam();
  const size_t dim = 18;
  Matrix vectors = Vectors(900, dim, 1);
  const CodebookPtr codebook = Trained(SmallSpec(metric, nbits, rotated ? 3 : 7), vectors);
  ASSERT_NE(codebook, nullptr);
  ASSERT_EQ(codebook->rotation().is_none(), !rotated);
  const EncodedVectors encoded = Encoded(*codebook, vectors);
  ASSERT_EQ(encoded.size(), 900u);
  ASSERT_EQ(encoded.codes.size(), 900 * codebook->code_bytes());
  Matrix queries = Vectors(5, dim, 2);
  Matrix prepared(queries.rows(), dim);
  codebook->Prepare(queries, prepared.data());
  Matrix for_table(queries.rows(), codebook->padded_dimension());
  codebook->ForTable(prepared, for_table.data());
  if (metric == Metric::kCosine) {  // codes stand for normalised vectors
    NormalizeRows(vectors.data(), vectors.rows(), dim);
    NormalizeRows(queries.data(), queries.rows(), dim);
  }
  std::vector<float> decoded(dim);
  for (size_t q = 0; q < queries.rows(); ++q) {
    const float* query = queries.row(q).data();
    const float* prepared_query = prepared.row(q).data();
    const std::vector<float> table = test::InnerProductTable(*codebook, for_table.row(q).data());
    for (size_t i = 0; i < vectors.rows(); i += 3) {
      const uint8_t* code = encoded.codes.data() + i * codebook->code_bytes();
      const float* centroid = codebook->centroids().row(encoded.lists[i]).data();
      double sum = 0;
      for (uint32_t j = 0; j < codebook->subquantizers(); ++j) {
        const uint32_t number = nbits == 8 ? code[j] : (code[j / 2] >> (j % 2 * 4)) & 15;
        sum += table[j * codebook->codewords() + number];
      }
      ASSERT_TRUE(codebook->Decode(encoded.lists[i], code, decoded.data()).ok());
      if (metric == Metric::kL2) {
        const double got =
            SquaredDistance(prepared_query, centroid, dim) - 2 * sum + encoded.biases[i];
        EXPECT_NEAR(got, SquaredDistance(query, decoded.data(), dim), 1e-3);
      } else {
        EXPECT_EQ(encoded.biases[i], 0);
        EXPECT_NEAR(Dot(query, centroid, dim) + sum, Dot(query, decoded.data(), dim), 1e-4);
      }
      const double error = std::sqrt(SquaredDistance(vectors.row(i).data(), decoded.data(), dim));
      EXPECT_NEAR(encoded.errors[i], error, rotated ? 5e-3 : 1e-4);
      if (rotated) {
        EXPECT_GE(encoded.errors[i], error);
      }
    }
  }
}

// A list given up has its vectors come to the next one; one that moves into another list takes some
// of that one's.
TEST(CodebookRadii, FollowCentroidsThatMove) {
  Matrix vectors(300, 18);
  for (size_t i = 0; i < 300; ++i) {  // on three rays, and in two places on the first
    vectors.row(i)[i % 3] = i % 3 > 0 ? 10 : i % 2 == 0 ? 100 : 130;
    vectors.row(i)[17] = 0.01f * static_cast<float>(i);
  }
  CodebookSpec spec = SmallSpec(Metric::kInnerProduct);
  spec.nlist = 4;
  const CodebookPtr codebook = Trained(spec, vectors);
  ASSERT_EQ(codebook->radii().size(), 4u);
  const auto list_of = [&](const Codebook& of, size_t row) {
    uint32_t list = 0;
    of.Assign(vectors.view().Rows(row, 1), &list);
    return list;
  };
  const uint32_t near = list_of(*codebook, 0), far = list_of(*codebook, 3);
  ASSERT_NE(near, far);
  EXPECT_LT(codebook->radii()[near], 3);
  const uint32_t other = list_of(*codebook, 1);
  const CodebookPtr moved = codebook->WithCentroids({&far, 1}, vectors.view().Rows(1, 1));
  EXPECT_EQ(moved->radii()[far], codebook->radii()[other]);
  EXPECT_EQ(list_of(*moved, 3), near);
  EXPECT_NEAR(moved->radii()[near], 30, 3);
  EXPECT_EQ(moved->radii()[other], codebook->radii()[other]);
}

INSTANTIATE_TEST_SUITE_P(All, CodebookMetrics,
                         testing::Combine(testing::Values(Metric::kL2, Metric::kInnerProduct,
                                                          Metric::kCosine),
                                          testing::Values(4, 8), testing::Bool()));

// As good codes of a third of the size.
TEST(Codebook, RotatesWhatLiesInFewDirections) {
  const Matrix low_rank = test::LowRank(3'000, 96, 12, 0.01f, 1);
  CodebookSpec spec = {.metric = Metric::kCosine, .dimension = 96, .nlist = 20, .subquantizers = 8};
  const CodebookPtr rotated = Trained(spec, low_rank);
  ASSERT_NE(rotated, nullptr);
  EXPECT_EQ(rotated->rotation().reduced(), 16u);
  // Nothing is to be gained where all directions are alike.
  const CodebookPtr plain = Trained(spec, Uniform(3'000, 96, 1));
  ASSERT_NE(plain, nullptr);
  EXPECT_TRUE(plain->rotation().is_none());
  // A part for each component leaves nothing out.
  spec.subquantizers = 96;
  EXPECT_TRUE(Trained(spec, low_rank)->rotation().is_none());
  // Few vectors seem to lie in few directions, whatever they are.
  spec.subquantizers = 8;
  EXPECT_TRUE(Trained(spec, low_rank.view().Rows(0, 900))->rotation().is_none());
}

TEST(Codebook, MovedCentroidsKeepTheRotation) {
  for (Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    const Matrix vectors = test::LowRank(900, 18, 5, 0.02f, 1);
    const CodebookPtr codebook = Trained(SmallSpec(metric, 4, 3), vectors);
    ASSERT_NE(codebook, nullptr);
    ASSERT_FALSE(codebook->rotation().is_none());
    Matrix centroid(1, 18);
    std::copy_n(vectors.row(7).data(), 18, centroid.data());
    const uint32_t list = 3;
    const CodebookPtr moved = codebook->WithCentroids({&list, 1}, centroid);
    const EncodedVectors encoded = Encoded(*moved, vectors.view().Rows(7, 1));
    std::vector<float> decoded(18);
    ASSERT_TRUE(moved->Decode(encoded.lists[0], encoded.codes.data(), decoded.data()).ok());
    EXPECT_NEAR(encoded.errors[0],
                std::sqrt(SquaredDistance(vectors.row(7).data(), decoded.data(), 18)), 5e-3);
  }
}

// Distances do not change when all vectors move; neither must codes, although the squares of such
// components no longer fit the digits of a float.
TEST(Codebook, L2VectorsFarFromZero) {
  const Matrix near = Uniform(900, 18, 12);
  Matrix far = Uniform(900, 18, 12);
  for (size_t i = 0; i < 900 * 18; ++i) far.data()[i] += 10'000;
  const CodebookPtr from_near = Trained(SmallSpec(Metric::kL2), near);
  const CodebookPtr from_far = Trained(SmallSpec(Metric::kL2), far);
  ASSERT_TRUE(from_near != nullptr && from_far != nullptr);
  EXPECT_NEAR(from_far->mean_squared_error(), from_near->mean_squared_error(),
              0.1 * from_near->mean_squared_error());
  const EncodedVectors encoded = Encoded(*from_far, far);
  std::vector<float> decoded(18);
  double sum = 0;
  for (size_t i = 0; i < 900; ++i) {
    const uint8_t* code = encoded.codes.data() + i * from_far->code_bytes();
    ASSERT_TRUE(from_far->Decode(encoded.lists[i], code, decoded.data()).ok());
    sum += SquaredDistance(far.row(i).data(), decoded.data(), 18);
  }
  EXPECT_NEAR(sum / 900, from_far->mean_squared_error(), 0.01 * sum / 900);
}

TEST(Codebook, SampleThatIsHandedOverGivesTheSameCodebook) {
  for (Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    const CodebookPtr copied = Trained(SmallSpec(metric), Uniform(400, 18, 13));
    ASSERT_NE(copied, nullptr);
    InlineExecutor executor;
    const auto moved = Codebook::Train(SmallSpec(metric), Uniform(400, 18, 13), executor, nullptr);
    ASSERT_TRUE(moved.ok()) << moved.status();
    EXPECT_EQ((*moved)->Serialize(), copied->Serialize());
  }
}

TEST(Codebook, KnowsItsError) {
  const Matrix vectors = Uniform(900, 18, 3);
  const CodebookPtr codebook = Trained(SmallSpec(Metric::kL2), vectors);
  ASSERT_NE(codebook, nullptr);
  EXPECT_EQ(codebook->training_vectors(), 900u);
  double sum = 0;
  for (float error : Encoded(*codebook, vectors).errors) sum += double{error} * error;
  EXPECT_NEAR(codebook->mean_squared_error(), sum / 900, 1e-6 * sum);
  EXPECT_GT(codebook->mean_squared_error(), 0);
}

TEST(Codebook, EncodeAppends) {
  const Matrix vectors = Uniform(700, 18, 4);
  const CodebookPtr codebook = Trained(SmallSpec(Metric::kL2), vectors);
  ASSERT_NE(codebook, nullptr);
  const EncodedVectors whole = Encoded(*codebook, vectors);
  EncodedVectors parts;
  TestExecutor executor(3);
  for (size_t begin = 0; begin < 700; begin += 100) {
    codebook->Encode(vectors.view().Rows(begin, 100), executor, &parts);
  }
  EXPECT_EQ(parts.lists, whole.lists);
  EXPECT_EQ(parts.codes, whole.codes);
}

TEST(Codebook, CosineIgnoresLength) {
  Matrix vectors = Uniform(700, 18, 5);
  const CodebookPtr codebook = Trained(SmallSpec(Metric::kCosine), vectors);
  ASSERT_NE(codebook, nullptr);
  const EncodedVectors before = Encoded(*codebook, vectors);
  for (size_t i = 0; i < 700 * 18; ++i) vectors.data()[i] *= 8;  // exact in floats
  const EncodedVectors after = Encoded(*codebook, vectors);
  EXPECT_EQ(before.lists, after.lists);
  EXPECT_EQ(before.codes, after.codes);
}

TEST(Codebook, SameCodebookWhateverTheParallelism) {
  const Matrix vectors = Uniform(3000, 18, 6);
  const CodebookPtr want = Trained(SmallSpec(Metric::kCosine), vectors);
  ASSERT_NE(want, nullptr);
  for (size_t parallelism : {1, 2, 4}) {
    TestExecutor executor(parallelism);
    const auto codebook = Codebook::Train(SmallSpec(Metric::kCosine), vectors, executor, nullptr);
    ASSERT_TRUE(codebook.ok());
    EXPECT_EQ((*codebook)->Serialize(), want->Serialize());
  }
}

TEST(Codebook, BadInput) {
  const Matrix vectors = Uniform(100, 18, 7);
  InlineExecutor executor;
  const auto code_of = [&](auto change, MatrixView sample) {
    CodebookSpec spec = SmallSpec(Metric::kL2);
    change(spec);
    return Codebook::Train(spec, sample, executor, nullptr).status().code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code_of([](CodebookSpec&) {}, vectors), absl::StatusCode::kOk);
  EXPECT_EQ(code_of([](CodebookSpec&) {}, vectors.view().Rows(0, 19)), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.dimension = 17; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.nlist = 0; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.nlist = 101; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.subquantizers = 0; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.subquantizers = 19; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.nbits = 6; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.iterations = 0; }, vectors), kInvalid);
  EXPECT_EQ(code_of([](CodebookSpec& s) { s.metric = Metric{9}; }, vectors), kInvalid);
  Matrix broken = Uniform(100, 18, 8);
  broken.row(99)[17] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(code_of([](CodebookSpec&) {}, broken), kInvalid);
  broken.row(99)[17] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(code_of([](CodebookSpec&) {}, broken), kInvalid);
}

TEST(Codebook, DecodeChecksTheList) {
  const Matrix vectors = Uniform(100, 18, 9);
  const CodebookPtr codebook = Trained(SmallSpec(Metric::kL2), vectors);
  ASSERT_NE(codebook, nullptr);
  const std::vector<uint8_t> code(codebook->code_bytes());
  std::vector<float> out(18);
  EXPECT_TRUE(codebook->Decode(19, code.data(), out.data()).ok());
  EXPECT_EQ(codebook->Decode(20, code.data(), out.data()).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Codebook, TrainingCanBeCancelledAtEveryStep) {
  class CancelAt : public ProgressObserver {
   public:
    explicit CancelAt(size_t call) : call_(call) {}
    bool OnProgress(const char*, size_t, size_t) override { return ++calls_ < call_; }
    size_t calls() const { return calls_; }

   private:
    const size_t call_;
    size_t calls_ = 0;
  };
  const Matrix vectors = Uniform(300, 18, 10);
  InlineExecutor executor;
  CancelAt never(1'000'000);
  ASSERT_TRUE(Codebook::Train(SmallSpec(Metric::kL2), vectors, executor, &never).ok());
  for (size_t call = 1; call <= never.calls(); ++call) {
    CancelAt observer(call);
    EXPECT_EQ(Codebook::Train(SmallSpec(Metric::kL2), vectors, executor, &observer).status().code(),
              absl::StatusCode::kCancelled);
  }
}

TEST(Codebook, TinyAndLargeDimensions) {
  InlineExecutor executor;
  for (const auto& [dim, m] : {std::pair<uint32_t, uint32_t>{1, 1}, {3, 3}, {3, 2}, {4096, 64}}) {
    const Matrix vectors = Uniform(300, dim, 11);
    const CodebookSpec spec = {
        .metric = Metric::kL2, .dimension = dim, .nlist = 4, .subquantizers = m, .nbits = 4};
    const CodebookPtr codebook = Trained(spec, vectors);
    ASSERT_NE(codebook, nullptr);
    const EncodedVectors encoded = Encoded(*codebook, vectors);
    std::vector<float> decoded(dim);
    for (size_t i = 0; i < 300; i += 50) {
      ASSERT_TRUE(codebook
                      ->Decode(encoded.lists[i], encoded.codes.data() + i * codebook->code_bytes(),
                               decoded.data())
                      .ok());
      const double error = std::sqrt(SquaredDistance(vectors.row(i).data(), decoded.data(), dim));
      EXPECT_NEAR(error, encoded.errors[i], 1e-4 * (1 + error));
    }
  }
}

}  // namespace
}  // namespace tessera
