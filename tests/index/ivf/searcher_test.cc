#include "index/ivf/searcher.h"

#include <tuple>

#include "index/ivf/near_lists.h"
#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/low_rank.h"
#include "tests/index/uneven.h"

namespace tessera {
namespace {

using test::MatrixSource;
using testing::HasSubstr;

constexpr size_t kVectors = 3000;
constexpr size_t kDim = 18;
constexpr uint32_t kLists = 40;

// Metric, bits, and whether vectors lie in a few directions, so that codes are of rotated
// residuals.
class SearcherTest : public testing::TestWithParam<std::tuple<Metric, uint32_t, bool>> {
 protected:
  SearcherTest()
      : metric_(std::get<0>(GetParam())),
        rotated_(std::get<2>(GetParam())),
        vectors_(Vectors(kVectors, 1)),
        queries_(Vectors(45, 2)),
        source_(vectors_),
        codebook_(test::TrainCodebook(metric_, vectors_, kLists, rotated_ ? 4 : 9,
                                      std::get<1>(GetParam()))),
        lists_(codebook_) {
    EXPECT_EQ(codebook_->rotation().is_none(), !rotated_);
    const EncodedVectors encoded = test::Encode(*codebook_, vectors_);
    lists_.Append(encoded, test::Iota(kVectors, 0).data());
  }

  Matrix Vectors(size_t n, uint32_t seed) const {
    return rotated_ ? test::LowRank(n, kDim, 4, 0.02f, seed) : test::RandomVectors(n, kDim, seed);
  }
  std::vector<std::vector<Neighbor>> Search(MatrixView queries, const IvfSearchParams& params,
                                            const VectorSource* source) {
    std::vector<std::vector<Neighbor>> results(queries.rows);
    stats_ = {};
    const absl::Status status =
        SearchIvf(*lists_.Snapshot(), queries, params, deleted_, source, results, &stats_);
    EXPECT_TRUE(status.ok()) << status;
    return results;
  }
  std::vector<Neighbor> Exact(size_t query, size_t k, const std::set<Slot>& without = {}) {
    return test::ExactScan(metric_, vectors_, queries_.row(query), k, without);
  }

  Metric metric_;
  bool rotated_;
  Matrix vectors_, queries_;
  MatrixSource source_;
  std::shared_ptr<const Codebook> codebook_;
  InvertedLists lists_;
  SlotSet deleted_;
  IvfSearchStats stats_;
};

TEST_P(SearcherTest, MaskedSearchFindsTheNearestOfTheAllowed) {
  for (const size_t every : {2, 30, 700}) {
    SlotMask mask(kVectors);
    std::set<Slot> without;
    size_t allowed = 0;
    for (Slot slot = 0; slot < kVectors; ++slot) {
      if (slot % every == 1) {
        mask.Insert(slot);
        ++allowed;
      } else {
        without.insert(slot);
      }
    }
    IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = kVectors};
    params.allowed = &mask;
    params.allowed_count = allowed;
    const auto all = Search(queries_, params, &source_);
    EXPECT_EQ(stats_.queries_exhausted, queries_.rows());
    for (size_t q = 0; q < queries_.rows(); ++q) EXPECT_EQ(all[q], Exact(q, 10, without));
    // Few probes, and answers from codes: still k, and none that is not allowed.
    for (const bool widen : {false, true}) {
      params.nprobe = 1;
      params.rerank = 0;
      params.widen = widen;
      for (const auto& found : Search(queries_, params, nullptr)) {
        EXPECT_EQ(found.size(), std::min<size_t>(10, allowed));
        for (const Neighbor& neighbor : found) EXPECT_TRUE(mask.Contains(neighbor.slot));
      }
    }
  }
}

TEST_P(SearcherTest, MoreProbesNeverMeetFewerOfTheAllowed) {
  SlotMask mask(kVectors);
  for (Slot slot = 0; slot < kVectors; slot += 9) mask.Insert(slot);
  std::set<Slot> without;
  for (Slot slot = 0; slot < kVectors; ++slot) {
    if (!mask.Contains(slot)) without.insert(slot);
  }
  IvfSearchParams params{.k = 10, .rerank = kVectors};
  params.allowed = &mask;
  params.allowed_count = kVectors - without.size();
  params.widen = false;
  double last = 0;
  for (const size_t nprobe : {2, 4, 8, 16, 40}) {
    params.nprobe = nprobe;
    const auto found = Search(queries_, params, &source_);
    double recall = 0;
    for (size_t q = 0; q < queries_.rows(); ++q) {
      recall += test::Recall(found[q], Exact(q, 10, without));
    }
    EXPECT_GE(recall, last) << nprobe;
    last = recall;
  }
  EXPECT_EQ(last, queries_.rows());
}

// Of no query, alone or with others: the lists of fewer probes are among those of more.
TEST_P(SearcherTest, MoreProbesNeverLowerRecall) {
  std::vector<double> last(queries_.rows(), 0);
  double first = 0;
  for (const size_t nprobe : {1, 2, 5, 9, 17, 40}) {
    const IvfSearchParams params{.k = 10, .nprobe = nprobe, .rerank = kVectors};
    const auto together = Search(queries_, params, &source_);
    for (size_t q = 0; q < queries_.rows(); ++q) {
      const double recall = test::Recall(together[q], Exact(q, 10));
      EXPECT_EQ(test::Recall(Search(queries_.view().Rows(q, 1), params, &source_)[0], Exact(q, 10)),
                recall);
      EXPECT_GE(recall, last[q]) << "query " << q << ", " << nprobe << " lists";
      last[q] = recall;
      if (nprobe == 1) first += recall;
    }
  }
  EXPECT_LT(first, static_cast<double>(queries_.rows())) << "nothing was left to gain";
  EXPECT_EQ(last, std::vector<double>(queries_.rows(), 1));
}

TEST_P(SearcherTest, IsTimedIfAsked) {
  IvfSearchParams params{.k = 10, .nprobe = 8, .rerank = 500};
  Search(queries_, params, &source_);
  EXPECT_EQ(stats_.table_ns, 0u);
  EXPECT_EQ(stats_.rerank_ns, 0u);
  params.timed = true;
  Search(queries_, params, &source_);
  EXPECT_GT(stats_.table_ns, 0u);
  EXPECT_GT(stats_.rerank_ns, 0u);
}

// What a masked search reads, in counts, which are the same on every machine.
TEST_P(SearcherTest, BlocksWithoutAnAllowedSlotCostNothing) {
  // All of one list: its blocks are read, and those of no other, though many lists are met.
  const EncodedVectors encoded = test::Encode(*codebook_, vectors_);
  const uint32_t list = encoded.lists[0];
  SlotMask mask(kVectors);
  size_t allowed = 0;
  for (Slot slot = 0; slot < kVectors; ++slot) {
    if (encoded.lists[slot] != list) continue;
    mask.Insert(slot);
    ++allowed;
  }
  IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = 100};
  params.allowed = &mask;
  params.allowed_count = allowed;
  Search(queries_, params, &source_);
  EXPECT_EQ(stats_.codes_scanned, allowed * queries_.rows());
  EXPECT_EQ(stats_.queries_exhausted, queries_.rows());
}

TEST_P(SearcherTest, GivesUpOnQueriesThatAFilterGoesAgainst) {
  // All but what lies in the lists nearest to the first query.
  const EncodedVectors encoded = test::Encode(*codebook_, vectors_);
  std::vector<Neighbor> near;
  NearestLists(*lists_.Snapshot(), queries_.row(0), 8, &near);
  SlotMask mask(kVectors);
  size_t allowed = 0;
  for (Slot slot = 0; slot < kVectors; ++slot) {
    const bool is_near = std::any_of(
        near.begin(), near.end(), [&](const Neighbor& l) { return l.slot == encoded.lists[slot]; });
    if (is_near) continue;
    mask.Insert(slot);
    ++allowed;
  }
  IvfSearchParams params{.k = 10, .nprobe = 4, .rerank = 100};
  params.allowed = &mask;
  params.allowed_count = allowed;
  params.stop_against = true;
  const MatrixView first = queries_.view().Rows(0, 1);
  EXPECT_TRUE(Search(first, params, &source_)[0].empty());
  EXPECT_EQ(stats_.queries_against, 1u);
  EXPECT_EQ(stats_.codes_scanned, 0u) << "of the lists near the query none is allowed";
  // Not asked to, it goes on until it has met enough.
  params.stop_against = false;
  EXPECT_EQ(Search(first, params, &source_)[0].size(), 10u);
  EXPECT_EQ(stats_.queries_against, 0u);
  EXPECT_GT(stats_.lists_scanned, near.size());
}

TEST_P(SearcherTest, AFilterThatGoesWithTheQueryNeedsFewerLists) {
  const SearchWidth width =
      MaskedSearchWidth({.k = 10, .nprobe = 8, .allowed = nullptr, .allowed_count = kVectors / 100},
                        *lists_.Snapshot());
  EXPECT_GT(width.lists, 30u);
  EXPECT_EQ(width.ListsAfter(500, 500), 8u) << "all near the query are allowed";
  EXPECT_GT(width.ListsAfter(250, 500), 8u);
  EXPECT_LT(width.ListsAfter(250, 500), 12u);
  EXPECT_EQ(width.ListsAfter(0, 500), width.lists);
  EXPECT_TRUE(width.Against(0));
  EXPECT_FALSE(width.Against(width.expected));
}

TEST_P(SearcherTest, ListsAreAsFarAsTheCoarseStepSaysThem) {
  std::vector<Neighbor> near;
  NearestLists(*lists_.Snapshot(), queries_.row(3), kLists / 2, &near);
  std::vector<uint32_t> which;
  for (const Neighbor& list : near) which.push_back(list.slot);
  std::vector<Neighbor> distances(which.size());
  ListDistances(*lists_.Snapshot(), queries_.row(3), which, distances.data());
  for (size_t i = 0; i < near.size(); ++i) {
    EXPECT_EQ(distances[i].slot, near[i].slot);
    EXPECT_FLOAT_EQ(distances[i].distance, near[i].distance);
  }
}

TEST_P(SearcherTest, AllListsAndFullRerankEqualTheExactScan) {
  const IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = kVectors};
  const auto together = Search(queries_, params, &source_);
  EXPECT_EQ(stats_.codes_scanned, kVectors * queries_.rows());
  EXPECT_EQ(stats_.lists_scanned, kLists * queries_.rows());
  EXPECT_EQ(stats_.candidates_reranked, kVectors * queries_.rows());
  for (size_t q = 0; q < queries_.rows(); ++q) {
    EXPECT_EQ(together[q], Exact(q, 10));
    EXPECT_EQ(Search(queries_.view().Rows(q, 1), params, &source_)[0], Exact(q, 10));
  }
}

TEST_P(SearcherTest, ModestRerankFindsNearlyAll) {
  const IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = 100};
  const auto together = Search(queries_, params, &source_);
  double recall = 0, recall_single = 0;
  for (size_t q = 0; q < queries_.rows(); ++q) {
    recall += test::Recall(together[q], Exact(q, 10));
    recall_single +=
        test::Recall(Search(queries_.view().Rows(q, 1), params, &source_)[0], Exact(q, 10));
  }
  EXPECT_GE(recall / static_cast<double>(queries_.rows()), 0.97);
  EXPECT_GE(recall_single / static_cast<double>(queries_.rows()), 0.97);
}

TEST_P(SearcherTest, AnswersFromCodesEstimateTheDistance) {
  const IvfSearchParams params{.k = 20, .nprobe = kLists, .rerank = 0};
  const EncodedVectors encoded = test::Encode(*codebook_, vectors_);
  const auto results = Search(queries_, params, nullptr);
  for (size_t q = 0; q < queries_.rows(); ++q) {
    const auto alone = Search(queries_.view().Rows(q, 1), params, nullptr)[0];
    ASSERT_EQ(alone.size(), 20u);
    ASSERT_EQ(results[q].size(), 20u);
    EXPECT_TRUE(std::is_sorted(alone.begin(), alone.end()));
    for (const Neighbor& n : alone) {
      // The distance of the query from what the code stands for.
      std::vector<float> decoded(kDim);
      ASSERT_TRUE(codebook_
                      ->Decode(encoded.lists[n.slot],
                               &encoded.codes[n.slot * codebook_->code_bytes()], decoded.data())
                      .ok());
      double expected = 0, norm2 = 0, magnitude = 0;
      for (size_t d = 0; d < kDim; ++d) {
        const double x = queries_.row(q)[d];
        norm2 += x * x;
        magnitude += decoded[d] * decoded[d];
        expected += metric_ == Metric::kL2 ? (x - decoded[d]) * (x - decoded[d]) : -x * decoded[d];
      }
      magnitude = std::sqrt(norm2 * magnitude);
      if (metric_ == Metric::kCosine) {
        expected /= std::sqrt(norm2);
        magnitude /= std::sqrt(norm2);
      }
      // The fewer tables, the larger the steps of their entries, which residuals give, however
      // short the vector is.
      const double steps = rotated_ ? 0.03 * std::sqrt(norm2) : 0;
      EXPECT_NEAR(n.distance, expected, 0.02 * magnitude + steps + 1e-4);
    }
  }
}

TEST_P(SearcherTest, DeletedSlotsNeverAppear) {
  std::set<Slot> without;
  for (size_t q = 0; q < queries_.rows(); ++q) {
    for (const Neighbor& n : Exact(q, 5)) {
      without.insert(n.slot);
      deleted_.Insert(n.slot);
    }
  }
  const IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = kVectors};
  const auto together = Search(queries_, params, &source_);
  for (size_t q = 0; q < queries_.rows(); ++q) {
    EXPECT_EQ(together[q], Exact(q, 10, without));
    EXPECT_EQ(Search(queries_.view().Rows(q, 1), params, &source_)[0], Exact(q, 10, without));
  }
  // Small candidate buffers, which are thinned out on the way.
  for (const auto& result : Search(queries_, {.k = 3, .nprobe = kLists, .rerank = 5}, &source_)) {
    EXPECT_EQ(result.size(), 3u);
    for (const Neighbor& n : result) EXPECT_EQ(without.count(n.slot), 0u);
  }
}

TEST_P(SearcherTest, VectorsOnDiskAreReadOncePerBatch) {
  MatrixSource source(vectors_, 3);
  const IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = 60};
  const auto results = Search(queries_, params, &source);
  EXPECT_EQ(source.reads, 1u);
  EXPECT_EQ(results, Search(queries_, params, &source_));
  // Points that are gone by the time that they are read are left out.
  for (Slot slot = 0; slot < kVectors; slot += 3) source.gone.insert(slot);
  for (const auto& result : Search(queries_, params, &source)) {
    EXPECT_EQ(result.size(), 10u);
    for (const Neighbor& n : result) EXPECT_NE(n.slot % 3, 0u);
  }
}

TEST(SearchReadsInSteps, ManyCandidatesOfOneQuery) {
  constexpr size_t kMany = 40'000;
  const Matrix vectors = test::RandomVectors(kMany, 2, 1);
  const auto codebook = test::TrainCodebook(Metric::kL2, vectors, 4, 2, 8);
  InvertedLists lists(codebook);
  lists.Append(test::Encode(*codebook, vectors), test::Iota(kMany, 0).data());
  MatrixSource source(vectors, /*on_disk_every=*/1);
  for (Slot slot = 0; slot < kMany; slot += 7) source.gone.insert(slot);
  const Matrix queries = test::RandomVectors(2, 2, 2);
  std::vector<std::vector<Neighbor>> found(2);
  const IvfSearchParams params{.k = kMany, .nprobe = 4, .rerank = kMany};
  const absl::Status status =
      SearchIvf(*lists.Snapshot(), queries, params, SlotSet(), &source, found, nullptr);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(source.reads, 2 * 3u);  // 16,384 at a time
  for (size_t q = 0; q < 2; ++q) {
    EXPECT_EQ(found[q], test::ExactScan(Metric::kL2, vectors, queries.row(q), kMany, source.gone));
  }
}

TEST_P(SearcherTest, ScalarCodesLeaveFewVectorsToRead) {
  MatrixSource source(vectors_, /*on_disk_every=*/1);
  const IvfSearchParams params{.k = 10, .nprobe = kLists, .rerank = kVectors};
  const size_t candidates = kVectors * queries_.rows();
  Search(queries_, params, &source);
  EXPECT_EQ(stats_.candidates_refined, 0u);
  EXPECT_EQ(stats_.candidates_reranked, candidates);
  // Those without a code are all read.
  for (const size_t without : {kVectors, size_t{3}}) {
    source.AddScalarCodes(metric_, without);
    const auto found = Search(queries_, params, &source);
    const size_t coded = kVectors - (kVectors + without - 1) / without;
    EXPECT_EQ(stats_.candidates_refined, coded * queries_.rows());
    EXPECT_GE(stats_.candidates_reranked, candidates - stats_.candidates_refined);
    EXPECT_LT(stats_.candidates_reranked,
              candidates - stats_.candidates_refined + 20 * queries_.rows());
    for (size_t q = 0; q < queries_.rows(); ++q) EXPECT_EQ(found[q], Exact(q, 10));
  }
  // All that is wanted is compared in full, whatever codes say.
  const IvfSearchParams all{.k = kVectors, .nprobe = kLists, .rerank = kVectors};
  EXPECT_EQ(Search(queries_.view().Rows(0, 1), all, &source)[0], Exact(0, kVectors));
}

// Whether they share a pass over the lists or are too few for that.
TEST_P(SearcherTest, QueriesGetTogetherWhatTheyGetAlone) {
  for (const size_t nprobe : {2, 7, 40}) {
    const IvfSearchParams params{.k = 10, .nprobe = nprobe, .rerank = 60};
    for (const size_t count : {2, 5, 45}) {
      const auto together = Search(queries_.view().Rows(0, count), params, &source_);
      EXPECT_EQ(stats_.lists_scanned, count * nprobe);
      for (size_t q = 0; q < count; ++q) {
        EXPECT_EQ(together[q], Search(queries_.view().Rows(q, 1), params, &source_)[0]);
      }
    }
  }
}

TEST_P(SearcherTest, NprobeOverNlistIsClamped) {
  const auto expected = Search(queries_, {.k = 10, .nprobe = kLists, .rerank = 50}, &source_);
  EXPECT_EQ(Search(queries_, {.k = 10, .nprobe = 100'000, .rerank = 50}, &source_), expected);
}

TEST_P(SearcherTest, KOverThePointsFoundGivesFewer) {
  for (const auto& result : Search(queries_, {.k = 9000, .nprobe = kLists, .rerank = 0}, nullptr)) {
    EXPECT_EQ(result.size(), kVectors);
  }
  for (const auto& result : Search(queries_, {.k = 9000, .nprobe = 1, .rerank = 10}, &source_)) {
    EXPECT_LT(result.size(), kVectors);
  }
}

TEST_P(SearcherTest, EmptyListsGiveNothing) {
  InvertedLists empty(codebook_);
  std::vector<std::vector<Neighbor>> results(queries_.rows());
  ASSERT_TRUE(SearchIvf(*empty.Snapshot(), queries_, {.k = 10, .nprobe = 5, .rerank = 10}, deleted_,
                        &source_, results, nullptr)
                  .ok());
  for (const auto& result : results) EXPECT_TRUE(result.empty());
}

TEST_P(SearcherTest, EqualVectorsComeInSlotOrder) {
  Matrix same(700, kDim);
  for (size_t i = 0; i < same.rows(); ++i) std::ranges::copy(vectors_.row(5), same.row(i).begin());
  InvertedLists lists(codebook_);
  lists.Append(test::Encode(*codebook_, same), test::Iota(700, 0).data());
  const MatrixSource source(same);
  std::vector<std::vector<Neighbor>> results(queries_.rows());
  // More rerank than points: all are compared, and none of the equally far is cut off.
  ASSERT_TRUE(SearchIvf(*lists.Snapshot(), queries_, {.k = 4, .nprobe = kLists, .rerank = 700},
                        deleted_, &source, results, nullptr)
                  .ok());
  for (const auto& result : results) {
    ASSERT_EQ(result.size(), 700u);
    for (Slot i = 0; i < 700; ++i) EXPECT_EQ(result[i].slot, i);
  }
  // Fewer: some of the equal ones, no more than are compared.
  ASSERT_TRUE(SearchIvf(*lists.Snapshot(), queries_, {.k = 4, .nprobe = kLists, .rerank = 6},
                        deleted_, &source, results, nullptr)
                  .ok());
  for (const auto& result : results) EXPECT_EQ(result.size(), 6u);
}

TEST_P(SearcherTest, BadArgumentsAreRefused) {
  std::vector<std::vector<Neighbor>> results(queries_.rows());
  const auto snapshot = lists_.Snapshot();
  const auto search = [&](MatrixView queries, const IvfSearchParams& params,
                          const VectorSource* source) {
    return SearchIvf(*snapshot, queries, params, deleted_, source, results, nullptr).ToString();
  };
  EXPECT_THAT(search(queries_, {.k = 0}, &source_), HasSubstr("k must be"));
  EXPECT_THAT(search(queries_, {.nprobe = 0}, &source_), HasSubstr("nprobe must be"));
  EXPECT_THAT(search(queries_, {.rerank = 10}, nullptr), HasSubstr("source of vectors"));
  EXPECT_THAT(search(queries_.view().Rows(0, 3), {}, &source_), HasSubstr("one entry per query"));
  const Matrix narrow(queries_.rows(), kDim - 1);
  EXPECT_THAT(search(narrow, {}, &source_), HasSubstr("dimension 17"));
}

// Queries that probe different numbers of lists, with filters and without, one by one and together.
TEST(ListsOfEachQuery, AreSearchedAloneAsTogether) {
  constexpr size_t kMany = 8'000;
  constexpr uint32_t kManyLists = 100;
  const Matrix vectors = test::Uneven(kMany, 12, 1), queries = test::Uneven(100, 12, 2);
  const auto codebook = test::TrainCodebook(Metric::kL2, vectors, kManyLists, 6, 4);
  ASSERT_FALSE(codebook->probe_rule().empty());
  InvertedLists lists(codebook);
  lists.Append(test::Encode(*codebook, vectors), test::Iota(kMany, 0).data());
  const MatrixSource source(vectors);
  SlotMask allowed(kMany);
  std::set<Slot> without;
  for (Slot slot = 0; slot < kMany; ++slot) {
    if (slot % 4 < 2) {
      allowed.Insert(slot);
    } else {
      without.insert(slot);
    }
  }
  for (const bool masked : {false, true}) {
    IvfSearchParams params{.k = 10, .nprobe = 10, .rerank = 40};
    if (masked) {
      params.allowed = &allowed;
      params.allowed_count = kMany / 2;
    }
    const auto search = [&](size_t first, size_t n, IvfSearchStats* stats) {
      std::vector<std::vector<Neighbor>> results(n);
      EXPECT_TRUE(SearchIvf(*lists.Snapshot(), queries.view().Rows(first, n), params, SlotSet(),
                            &source, results, stats)
                      .ok());
      return results;
    };
    IvfSearchStats stats;
    const auto together = search(0, queries.rows(), &stats);
    uint64_t least = kManyLists, most = 0, sum = 0;
    double recall = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      IvfSearchStats alone;
      EXPECT_EQ(search(q, 1, &alone)[0], together[q]);
      least = std::min(least, alone.lists_scanned);
      most = std::max(most, alone.lists_scanned);
      sum += alone.lists_scanned;
      recall += test::Recall(together[q], test::ExactScan(Metric::kL2, vectors, queries.row(q), 10,
                                                          masked ? without : std::set<Slot>()));
    }
    EXPECT_EQ(stats.lists_scanned, sum);
    EXPECT_LE(most, masked ? 40u : 20u);
    if (!masked) EXPECT_LT(2 * least, most);
    EXPECT_GT(recall / static_cast<double>(queries.rows()), 0.9);
  }
}

INSTANTIATE_TEST_SUITE_P(MetricsAndBits, SearcherTest,
                         testing::Combine(testing::Values(Metric::kL2, Metric::kInnerProduct,
                                                          Metric::kCosine),
                                          testing::Values(4u, 8u), testing::Bool()));

}  // namespace
}  // namespace tessera
