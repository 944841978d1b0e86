#include "index/ivf/rerank.h"

#include "index/ivf/inverted_lists.h"
#include "index/ivf/lists_snapshot.h"
#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/low_rank.h"

namespace tessera {
namespace {

using test::MatrixSource;

constexpr size_t kDim = 16;
constexpr uint32_t kLists = 16;
constexpr size_t kK = 10;

// Islands of 25 vectors each, far apart: what belongs to a query's island, codes tell.
Matrix Islands(size_t n, uint32_t seed) {
  Matrix vectors = test::Noise(n, kDim, seed);
  const Matrix centers = test::Noise(80, kDim, 99);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < kDim; ++d) {
      vectors.row(i)[d] = 0.1f * vectors.row(i)[d] + 4 * centers.row(i % 80)[d];
    }
  }
  return vectors;
}

class RerankTest : public testing::TestWithParam<Metric> {
 protected:
  void Fill(Matrix vectors, uint32_t subquantizers) {
    vectors_ = std::move(vectors);
    const auto codebook = test::TrainCodebook(GetParam(), vectors_, kLists, subquantizers, 4);
    lists_ = std::make_unique<InvertedLists>(codebook);
    lists_->Append(test::Encode(*codebook, vectors_), test::Iota(vectors_.rows(), 0).data());
  }
  std::vector<std::vector<Neighbor>> Search(MatrixView queries, size_t rerank,
                                            const VectorSource& source) {
    std::vector<std::vector<Neighbor>> results(queries.rows);
    stats_ = {};
    const IvfSearchParams params{.k = kK, .nprobe = kLists, .rerank = rerank};
    const absl::Status status =
        SearchIvf(*lists_->Snapshot(), queries, params, {}, &source, results, &stats_);
    EXPECT_TRUE(status.ok()) << status;
    return results;
  }
  std::vector<Neighbor> Exact(std::span<const float> query, const std::set<Slot>& without = {}) {
    return test::ExactScan(GetParam(), vectors_, query, kK, without);
  }

  Matrix vectors_;
  std::unique_ptr<InvertedLists> lists_;
  IvfSearchStats stats_;
};

TEST_P(RerankTest, WhatCodesSayIsFarIsNotCompared) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(30, 2);
  const MatrixSource source(vectors_);
  const auto together = Search(queries, 400, source);
  EXPECT_LT(stats_.candidates_reranked, queries.rows() * 100);
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(together[q], Exact(queries.row(q)));
    EXPECT_EQ(Search(queries.view().Rows(q, 1), 400, source)[0], together[q]);
  }
}

TEST_P(RerankTest, NorComparedByScalarCodes) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(30, 2);
  MatrixSource source(vectors_, /*on_disk_every=*/1);
  source.AddScalarCodes(GetParam(), 3000);
  const auto found = Search(queries, 400, source);
  EXPECT_LT(stats_.candidates_refined, queries.rows() * 100);
  EXPECT_LT(stats_.candidates_reranked, stats_.candidates_refined);
  for (size_t q = 0; q < queries.rows(); ++q) EXPECT_EQ(found[q], Exact(queries.row(q)));
}

TEST_P(RerankTest, NoScalarCodeIsComparedWhereAllAreWanted) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(5, 2);
  MatrixSource source(vectors_, /*on_disk_every=*/1);
  source.AddScalarCodes(GetParam(), 3000);
  Search(queries, kK, source);
  EXPECT_EQ(stats_.candidates_refined, 0u);
  EXPECT_EQ(stats_.candidates_reranked, queries.rows() * kK);
}

// After a start codes are made while searches run.
TEST_P(RerankTest, WhatIsFoundDoesNotDependOnWhichScalarCodesThereAre) {
  Fill(test::LowRank(6000, kDim, 4, 0.02f, 1), 8);
  const Matrix queries = test::LowRank(60, kDim, 4, 0.02f, 2);
  MatrixSource source(vectors_, /*on_disk_every=*/1);
  source.AddScalarCodes(GetParam(), 6001);
  const auto found = Search(queries, 200, source);
  const uint64_t refined = stats_.candidates_refined;
  EXPECT_LT(refined, queries.rows() * 190);
  for (const size_t without : {1, 2, 9}) {
    source.AddScalarCodes(GetParam(), without);
    EXPECT_EQ(Search(queries, 200, source), found) << "every " << without;
    EXPECT_GT(stats_.candidates_reranked, queries.rows() * kK);
  }
}

TEST_P(RerankTest, WhereCodesTellLittleNothingIsLeftOut) {
  Fill(test::Noise(4000, kDim, 1), 2);
  const Matrix queries = test::Noise(30, kDim, 2);
  const MatrixSource source(vectors_);
  Search(queries, 300, source);
  EXPECT_EQ(stats_.candidates_reranked, queries.rows() * 300);
}

TEST_P(RerankTest, AllThatIsMetIsComparedIfAsManyAreAskedFor) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(5, 2);
  Search(queries, 2000, MatrixSource(vectors_));
  EXPECT_EQ(stats_.candidates_reranked, queries.rows() * 2000);
}

TEST_P(RerankTest, VectorsOnDiskAreReadInTwoSteps) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(30, 2);
  const MatrixSource source(vectors_, /*on_disk_every=*/1);
  const auto found = Search(queries, 400, source);
  EXPECT_LE(source.reads, 2u);
  EXPECT_EQ(found, Search(queries, 400, MatrixSource(vectors_)));
}

// What scalar codes say of points that are gone tells nothing of the others.
TEST_P(RerankTest, WhereNearPointsAreGoneScalarCodesDropNoOthers) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(30, 2);
  MatrixSource source(vectors_, /*on_disk_every=*/1);
  source.AddScalarCodes(GetParam(), 3000);
  for (size_t q = 0; q < queries.rows(); ++q) {
    for (const Neighbor& nearest : Exact(queries.row(q))) source.gone.insert(nearest.slot);
  }
  const auto found = Search(queries, 400, source);
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(found[q], Exact(queries.row(q), source.gone));
  }
}

// Those that are gone leave the others without an estimate that is known to be theirs.
TEST_P(RerankTest, WherePointsAreGoneTheRestIsCompared) {
  Fill(Islands(2000, 1), 8);
  const Matrix queries = Islands(30, 2);
  MatrixSource source(vectors_, /*on_disk_every=*/1);
  for (Slot slot = 0; slot < 2000; slot += 2) source.gone.insert(slot);
  const auto found = Search(queries, 400, source);
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(found[q], Exact(queries.row(q), source.gone));
  }
}

// Of real vectors with near duplicates: a fraction of what is asked for finds as many.
TEST(RerankWordsTest, FewComparisonsFindAsMany) {
  constexpr size_t kWords = 25'000, kQueries = 500;
  const Matrix all = test::ReadWordNet("vectors.npy", ElementType::kFloat16, kWords, 128);
  const MatrixView vectors = all.view().Rows(0, kWords - kQueries);
  const MatrixView queries = all.view().Rows(kWords - kQueries, kQueries);
  const auto codebook = test::TrainCodebook(Metric::kInnerProduct, vectors, 64, 64, 4);
  InvertedLists lists(codebook);
  lists.Append(test::Encode(*codebook, vectors), test::Iota(vectors.rows, 0).data());
  const MatrixSource source(vectors);
  IvfSearchStats stats;
  std::vector<std::vector<Neighbor>> found(kQueries);
  const IvfSearchParams params{.k = kK, .nprobe = 64, .rerank = 400};
  ASSERT_TRUE(SearchIvf(*lists.Snapshot(), queries, params, {}, &source, found, &stats).ok());
  double recall = 0;
  for (size_t q = 0; q < kQueries; ++q) {
    recall +=
        test::Recall(found[q], test::ExactScan(Metric::kInnerProduct, vectors, queries.row(q), kK));
  }
  EXPECT_GE(recall / kQueries, 0.995);
  EXPECT_LT(stats.candidates_reranked, kQueries * 200);
}

INSTANTIATE_TEST_SUITE_P(Metrics, RerankTest,
                         testing::Values(Metric::kL2, Metric::kInnerProduct, Metric::kCosine));

}  // namespace
}  // namespace tessera
