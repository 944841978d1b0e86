#include "index/codebook/search_trial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <span>

#include "index/base/limits.h"
#include "index/simd/convert.h"
#include "tests/index/codebook/codebook_test_util.h"
#include "tests/index/low_rank.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

constexpr size_t kRows = 1'500;
constexpr size_t kQueries = 40;
constexpr size_t kDim = 20;
constexpr uint32_t kListsAtLeast = 8;  // that a search of so few looks into by default

float Dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0f);
}

// Written out without any of the code that is tested.
class SearchTrialTest : public testing::TestWithParam<Metric> {
 protected:
  SearchTrialTest()
      : rows_(test::RandomVectors(kRows, kDim, 1)),
        queries_(test::RandomVectors(kQueries, kDim, 2)),
        origin_(1, kDim) {
    if (GetParam() == Metric::kL2) {  // so that their length counts in the rank of lists
      NormalizeRows(rows_.data(), kRows, kDim);
      NormalizeRows(queries_.data(), kQueries, kDim);
    }
    codebook_ = test::TrainCodebook(GetParam(), rows_, 30, 5, 4);
    encoded_ = test::Encode(*codebook_, rows_);
    codebook_->Prepare(rows_, rows_.data());
    codebook_->Prepare(queries_, queries_.data());
    codebook_->Prepare(origin_, origin_.data());
  }

  // The smaller the nearer.
  float Distance(std::span<const float> query, std::span<const float> vector) const {
    if (GetParam() != Metric::kL2) return -Dot(query, vector);
    return Dot(vector, vector) - 2 * Dot(query, vector);
  }

  std::vector<size_t> Nearest(size_t q) const {
    std::vector<size_t> order(kRows);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return Distance(queries_.row(q), rows_.row(a)) < Distance(queries_.row(q), rows_.row(b));
    });
    return order;
  }

  float ListRank(size_t q, uint32_t list) const {
    const std::span<const float> query = queries_.row(q);
    const std::span<const float> centroid = codebook_->centroids().row(list);
    if (GetParam() == Metric::kInnerProduct) {
      return Distance(query, centroid) -
             0.3f * std::sqrt(Dot(query, query)) * codebook_->radii()[list];
    }
    if (GetParam() == Metric::kCosine) {  // of unit queries
      return Dot(centroid, centroid) - 2 * 4.0f / 3 * Dot(query, centroid);
    }
    float square = 0;  // of the centroid before it was prepared
    for (size_t t = 0; t < kDim; ++t) {
      const float x = centroid[t] - origin_.data()[t];
      square += x * x;
    }
    return Distance(query, centroid) - square / 4;
  }

  // Of each list, how many are nearer.
  std::vector<size_t> ListRanks(size_t q) const {
    std::vector<size_t> ranks(codebook_->nlist());
    for (uint32_t a = 0; a < ranks.size(); ++a) {
      for (uint32_t b = 0; b < ranks.size(); ++b) ranks[a] += ListRank(q, b) < ListRank(q, a);
    }
    return ranks;
  }

  // Distances of what the codes stand for, with the products in steps of a 255th of the widest
  // range that a subquantizer has.
  std::vector<float> CodedDistances(size_t q) const {
    const size_t words = codebook_->codewords();
    Matrix for_table(1, codebook_->padded_dimension());
    codebook_->ForTable(queries_.view().Rows(q, 1), for_table.data());
    std::vector<float> table = test::InnerProductTable(*codebook_, for_table.data());
    std::vector<float> least;
    float range = 0;
    for (size_t j = 0; j < codebook_->subquantizers(); ++j) {
      const auto [low, high] = std::minmax_element(&table[j * words], &table[j * words] + words);
      least.push_back(-*high);
      range = std::max(range, *high - *low);
    }
    std::vector<float> coded(kRows);
    for (size_t i = 0; i < kRows; ++i) {
      const uint8_t* code = encoded_.codes.data() + i * codebook_->code_bytes();
      float products = 0;
      for (size_t j = 0; j < codebook_->subquantizers(); ++j) {
        const size_t word = (code[j / 2] >> (j % 2 * 4)) & 15;
        const float steps = std::round((-table[j * words + word] - least[j]) * 255 / range);
        products += least[j] + steps * range / 255;
      }
      const float list = Distance(queries_.row(q), codebook_->centroids().row(encoded_.lists[i]));
      const float factor = GetParam() == Metric::kL2 ? 2 : 1;
      coded[i] = list + encoded_.biases[i] + factor * products;
    }
    return coded;
  }

  // How many rows in the `lists` nearest lists are nearer by their codes than each neighbour.
  std::vector<size_t> CandidateRanks(size_t lists) const {
    std::vector<size_t> ranks;
    for (size_t q = 0; q < kQueries; ++q) {
      const std::vector<float> coded = CodedDistances(q);
      const std::vector<size_t> list_ranks = ListRanks(q);
      const std::vector<size_t> nearest = Nearest(q);
      for (size_t i = 0; i < SearchTrial::kNeighbors; ++i) {
        size_t nearer = 0;
        for (size_t j = 0; j < kRows; ++j) {
          nearer += coded[j] < coded[nearest[i]] && list_ranks[encoded_.lists[j]] < lists;
        }
        ranks.push_back(nearer);
      }
    }
    return ranks;
  }

  static uint32_t Quantile(std::vector<size_t> ranks, double share) {
    std::sort(ranks.begin(), ranks.end());
    return static_cast<uint32_t>(
        ranks[static_cast<size_t>(std::ceil(share * static_cast<double>(ranks.size()))) - 1] + 1);
  }

  Matrix rows_, queries_;
  Matrix origin_;  // prepared: less what L2 vectors are moved by
  std::shared_ptr<const Codebook> codebook_;
  EncodedVectors encoded_;
};

TEST_P(SearchTrialTest, CountsListsAndCandidates) {
  std::vector<size_t> ranks;
  for (size_t q = 0; q < kQueries; ++q) {
    const std::vector<size_t> list_ranks = ListRanks(q), nearest = Nearest(q);
    for (size_t i = 0; i < SearchTrial::kNeighbors; ++i) {
      ranks.push_back(list_ranks[encoded_.lists[nearest[i]]]);
    }
  }
  TestExecutor executor(3);
  std::vector<uint32_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  for (double lists_share : {0.5, 0.95, 1.0}) {
    const SearchTrial trial(*codebook_, queries_, rows_, all, encoded_.lists, lists_share,
                            executor);
    EXPECT_NEAR(trial.lists(), Quantile(ranks, lists_share), 1);
    const std::vector<size_t> candidate_ranks =
        CandidateRanks(std::max(trial.lists(), kListsAtLeast));
    for (double share : {0.5, 0.9, 0.99, 1.0}) {
      // Sums in another order may swap two of many candidates that are equally far.
      EXPECT_NEAR(trial.Candidates(encoded_, share, executor), Quantile(candidate_ranks, share), 2)
          << lists_share << " " << share;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, SearchTrialTest,
                         testing::Values(Metric::kL2, Metric::kInnerProduct, Metric::kCosine));

// Codes so coarse that rows come first which are not near at all: some are looked at for all.
TEST(SearchTrialCandidates, AreToldFromSomeOfTheRows) {
  constexpr size_t kMany = 40'000;
  const Matrix rows = test::RandomVectors(kMany, 64, 1);
  const Matrix queries = test::RandomVectors(kQueries, 64, 2);
  const auto codebook = test::TrainCodebook(Metric::kInnerProduct, rows, 10, 4, 4);
  const EncodedVectors encoded = test::Encode(*codebook, rows);
  TestExecutor executor(3);
  const auto candidates = [&](size_t step) {
    std::vector<uint32_t> drawn;
    EncodedVectors codes;
    for (size_t i = 0; i < kMany; i += step) {
      drawn.push_back(static_cast<uint32_t>(i));
      codes.Append(encoded, i);
    }
    const SearchTrial trial(*codebook, queries, rows, drawn, codes.lists, 1, executor);
    return static_cast<double>(trial.Candidates(codes, 0.99, executor));
  };
  const double exact = candidates(1);
  EXPECT_GT(exact, 1.5 * SearchTrial::kNear);
  EXPECT_NEAR(candidates(3), exact, 0.1 * exact);
}

// How many candidates hold half of all neighbours of vectors that `next` makes one after the other.
uint32_t CandidatesForHalf(const std::function<float(size_t)>& next) {
  constexpr size_t kMany = 4'000;
  Matrix rows(kMany, 1);
  for (size_t i = 0; i < kMany; ++i) rows.data()[i] = next(i);
  const auto codebook = test::TrainCodebook(Metric::kInnerProduct, rows, 4, 1, 4);
  const EncodedVectors encoded = test::Encode(*codebook, rows);
  std::vector<uint32_t> all(kMany);
  std::iota(all.begin(), all.end(), 0);
  TestExecutor executor(3);
  const SearchTrial trial(*codebook, rows.view().Rows(0, kQueries), rows, all, encoded.lists, 1,
                          executor);
  return trial.Candidates(encoded, 0.5, executor);
}

// A list of 1,000 with 16 codes: about 60 vectors each that could come before a neighbour.
TEST(SearchTrialCandidates, CountWhatCodesDoNotTellApart) {
  EXPECT_GT(CandidatesForHalf([](size_t i) { return static_cast<float>(i % 2'003); }), 40u);
}

// Any of those that are as near will do.
TEST(SearchTrialCandidates, DoNotCountWhatIsAsNear) {
  EXPECT_LE(CandidatesForHalf([](size_t) { return 3.0f; }), SearchTrial::kNeighbors);
}

TEST(SearchTrialQueries, AreFewOfTheSample) {
  EXPECT_EQ(SearchTrial::QueriesOf(0), 0u);
  EXPECT_EQ(SearchTrial::QueriesOf(999), 0u);
  EXPECT_GT(SearchTrial::QueriesOf(1'000), 20u);
  for (size_t rows : {1'000u, 5'000u, 100'000u, 10'000'000u}) {
    EXPECT_LE(SearchTrial::QueriesOf(rows), rows / 30) << rows;
    EXPECT_LE(SearchTrial::QueriesOf(rows), 1'000u) << rows;
  }
}

// With as many lists as vectors are left, each of those is a centroid.
TEST(SearchTrialQueries, AreTakenOutOfTheSampleAndNothingElse) {
  constexpr size_t kSample = 8'192;  // so many that some of its last rows are queries
  const size_t left = kSample - SearchTrial::QueriesOf(kSample);
  Matrix sample(kSample, 2);
  for (size_t i = 0; i < kSample; ++i) {
    sample.row(i)[0] = static_cast<float>(i % 100);
    sample.row(i)[1] = static_cast<float>(i / 100);
  }
  const auto codebook =
      test::TrainCodebook(Metric::kInnerProduct, sample, static_cast<uint32_t>(left), 2, 8);
  std::set<size_t> kept;
  for (size_t l = 0; l < left; ++l) {
    const auto centroid = codebook->centroids().row(l);
    kept.insert(static_cast<size_t>(centroid[0] + 100 * centroid[1]));
  }
  EXPECT_EQ(kept.size(), left);
  for (size_t i = 0; i < kSample; i += kSample / (kSample - left)) EXPECT_FALSE(kept.contains(i));
}

// Sixteen codes for vectors without structure tell next to nothing. What is measured must be what
// a codebook may say, or it could not be read again.
TEST(SearchTrialCandidates, AreNoMoreThanASearchMayAskFor) {
  const auto codebook = test::TrainCodebook(Metric::kL2, test::Noise(400'000, 12, 1), 1, 1, 4);
  EXPECT_EQ(codebook->search_needs().rerank, limits::kRerankMax);
  EXPECT_TRUE(Codebook::Parse(codebook->Serialize()).ok());
}

// How many subquantizers training chooses where a search begins with a fourth of the components,
// for so many points that codes are nearly all that it reads.
std::shared_ptr<const Codebook> Choose(MatrixView sample, double candidate_ns, Metric metric) {
  CodebookSpec spec = {.metric = metric,
                       .dimension = static_cast<uint32_t>(sample.cols),
                       .nlist = 16,
                       .subquantizers = static_cast<uint32_t>(sample.cols / 4),
                       .iterations = 5};
  const CodeUse use = {1'000'000, candidate_ns};
  TestExecutor executor(2);
  auto codebook = Codebook::Train(spec, sample, executor, nullptr, use);
  EXPECT_TRUE(codebook.ok()) << codebook.status();
  return *codebook;
}

TEST(ChosenSubquantizers, AreFewerWhereVectorsVaryInFewDirections) {
  const auto few = Choose(test::LowRank(3'000, 128, 12, 0.002f, 1), 30, Metric::kCosine);
  EXPECT_EQ(few->subquantizers(), 16u);
  EXPECT_FALSE(few->rotation().is_none());
  EXPECT_GT(few->search_needs().rerank, 0u);
  EXPECT_LT(few->search_needs().rerank, 1'000u);
}

TEST(ChosenSubquantizers, AreMoreWhereCandidatesAreDear) {
  const Matrix vectors = test::RandomVectors(3'000, 64, 1);
  const uint32_t cheap = Choose(vectors, 1, Metric::kL2)->subquantizers();
  const uint32_t dear = Choose(vectors, 1e6, Metric::kL2)->subquantizers();
  EXPECT_LE(cheap, 16u);
  EXPECT_EQ(dear, 32u);
}

TEST(ChosenSubquantizers, StayWhatIsAskedForWithoutAUse) {
  const Matrix vectors = test::LowRank(3'000, 128, 12, 0.002f, 1);
  const auto codebook = test::TrainCodebook(Metric::kCosine, vectors, 16, 40, 4);
  EXPECT_EQ(codebook->subquantizers(), 40u);
  EXPECT_GT(codebook->search_needs().nprobe, 0u);
}

}  // namespace
}  // namespace tessera
