#include "index/ivf/coarse_quantizer.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <tuple>

#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/low_rank.h"
#include "tests/index/uneven.h"

namespace tessera {
namespace {

// Many lists, so that centroids are searched by their codes, or few, so that they are not.
class CoarseQuantizerTest : public testing::TestWithParam<std::tuple<Metric, uint32_t>> {
 protected:
  CoarseQuantizerTest()
      : metric_(std::get<0>(GetParam())),
        nlist_(std::get<1>(GetParam())),
        vectors_(test::RandomVectors(3000, 21, 1)),
        queries_(test::RandomVectors(30, 21, 2)) {
    NormalizeIfCosine(&vectors_);
    NormalizeIfCosine(&queries_);
    codebook_ = test::TrainCodebook(metric_, vectors_, nlist_, 7, 4);
  }

  void NormalizeIfCosine(Matrix* m) {
    if (metric_ == Metric::kCosine) NormalizeRows(m->data(), m->rows(), m->cols());
  }
  static float Dot(std::span<const float> a, std::span<const float> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0f);
  }
  // The lists in their order, by what their rank is said to be.
  std::vector<Neighbor> Exact(size_t query, size_t nprobe) {
    std::vector<Neighbor> exact =
        test::ExactScan(metric_ == Metric::kL2 ? Metric::kL2 : Metric::kInnerProduct,
                        codebook_->centroids(), queries_.row(query), nlist_);
    for (Neighbor& list : exact) list.distance += NormTerm(query, list.slot);
    std::sort(exact.begin(), exact.end());
    exact.resize(nprobe);
    return exact;
  }
  // COSINE: |q| / (4 / 3) times |c|^2 / 2. INNER_PRODUCT, of vectors of any length: a part of the
  // list's radius, in the direction of the query.
  float NormTerm(size_t query, Slot list) {
    if (metric_ == Metric::kL2) return 0;
    const auto centroid = codebook_->centroids().row(list);
    const auto vector = std::span<const float>(queries_.row(query));
    const float length = std::sqrt(Dot(vector, vector));
    if (metric_ == Metric::kInnerProduct) return -0.3f * length * codebook_->radii()[list];
    return length * Dot(centroid, centroid) * 3 / 8;
  }

  Metric metric_;
  uint32_t nlist_;
  Matrix vectors_, queries_;
  std::shared_ptr<const Codebook> codebook_;
};

// Numbers of which no sum is finite.
TEST_P(CoarseQuantizerTest, GivesListsToAQueryThatIsTooFarFromAll) {
  const CoarseQuantizer coarse(codebook_);
  CoarseQuantizer::Scratch scratch;
  std::vector<float> query(21, std::numeric_limits<float>::max());
  for (size_t i = 0; i < query.size(); i += 2) query[i] = -query[i];
  const auto expect_lists = [&](const std::vector<Neighbor>& found) {
    std::set<Slot> lists;
    for (const Neighbor& n : found) lists.insert(n.slot);
    EXPECT_EQ(lists.size(), found.size());
    EXPECT_LT(*lists.rbegin(), nlist_);
  };
  for (size_t n : {1, 10, 50}) {
    std::vector<Neighbor> found(n);
    coarse.Nearest(query.data(), 1, n, scratch, found.data());
    expect_lists(found);
    coarse.AboutNearest(query.data(), n, scratch, found.data());
    expect_lists(found);
  }
}

TEST_P(CoarseQuantizerTest, FindsNearlyAllOfTheNearestLists) {
  const CoarseQuantizer coarse(codebook_);
  CoarseQuantizer::Scratch scratch;
  for (size_t nprobe : {1, 2, 10, 50}) {
    std::vector<Neighbor> together(queries_.rows() * nprobe), alone(nprobe);
    coarse.Nearest(queries_.data(), queries_.rows(), nprobe, scratch, together.data());
    double recall = 0;
    for (size_t q = 0; q < queries_.rows(); ++q) {
      coarse.Nearest(queries_.row(q).data(), 1, nprobe, scratch, alone.data());
      const size_t sorted = std::min(nprobe, CoarseQuantizer::kSortedFirst);
      EXPECT_TRUE(std::is_sorted(alone.begin(), alone.begin() + sorted));
      for (size_t i = sorted; i < nprobe; ++i) EXPECT_FALSE(alone[i] < alone[sorted - 1]);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), &together[q * nprobe]));
      const std::vector<Neighbor> exact = Exact(q, nlist_);
      for (const Neighbor& n : alone) {
        const auto same = std::find_if(exact.begin(), exact.end(),
                                       [&](const Neighbor& e) { return e.slot == n.slot; });
        ASSERT_NE(same, exact.end());
        EXPECT_NEAR(n.distance, same->distance, 0.002 * std::abs(same->distance) + 0.05);
        const float weight = coarse.Weight(queries_.row(q).data());
        EXPECT_NEAR(coarse.Distance(n, weight), same->distance - NormTerm(q, n.slot),
                    0.002 * std::abs(same->distance) + 0.05);
      }
      recall += test::Recall(alone, Exact(q, nprobe));
    }
    EXPECT_GE(recall / static_cast<double>(queries_.rows()), 0.95) << "nprobe " << nprobe;
  }
}

TEST_P(CoarseQuantizerTest, AboutTheNearestListsAreMostOfThem) {
  const CoarseQuantizer coarse(codebook_);
  CoarseQuantizer::Scratch scratch;
  for (size_t n : {10u, 40u, nlist_}) {
    double recall = 0;
    for (size_t q = 0; q < queries_.rows(); ++q) {
      std::vector<Neighbor> about(n);
      coarse.AboutNearest(queries_.row(q).data(), n, scratch, about.data());
      std::set<Slot> different;
      for (const Neighbor& list : about) different.insert(list.slot);
      ASSERT_EQ(different.size(), n);
      ASSERT_LT(*different.rbegin(), nlist_);
      recall += test::Recall(about, Exact(q, n));
    }
    EXPECT_GE(recall / static_cast<double>(queries_.rows()), 0.5) << n;
  }
}

TEST_P(CoarseQuantizerTest, AllListsAreFoundWhenAllAreAskedFor) {
  const CoarseQuantizer coarse(codebook_);
  CoarseQuantizer::Scratch scratch;
  std::vector<Neighbor> lists(nlist_);
  coarse.Nearest(queries_.row(0).data(), 1, nlist_, scratch, lists.data());
  std::set<Slot> found;
  for (const Neighbor& n : lists) found.insert(n.slot);
  EXPECT_EQ(found.size(), nlist_);
  EXPECT_EQ(*found.rbegin(), nlist_ - 1);
}

// Of the `nprobe` nearest of many lists, the share that is found by codes.
double ShareFound(const Matrix& vectors, Matrix queries, uint32_t nlist, size_t nprobe,
                  Metric metric = Metric::kCosine) {
  const auto codebook = test::TrainCodebook(metric, vectors, nlist, 32, 4);
  codebook->Prepare(queries, queries.data());
  const CoarseQuantizer coarse(codebook);
  CoarseQuantizer::Scratch scratch;
  double recall = 0;
  for (size_t q = 0; q < queries.rows(); ++q) {
    std::vector<Neighbor> all(nlist), found(nprobe);
    coarse.Nearest(queries.row(q).data(), 1, nlist, scratch, all.data());  // without codes
    std::sort(all.begin(), all.end());
    all.resize(nprobe);
    coarse.Nearest(queries.row(q).data(), 1, nprobe, scratch, found.data());
    recall += test::Recall(found, all);
  }
  return recall / static_cast<double>(queries.rows());
}

// Of many components, few of which matter: codes of centroids must not be coarser for it.
TEST(CoarseQuantizer, FindsTheNearestListsOfEmbeddings) {
  EXPECT_GE(ShareFound(test::LowRank(6'000, 512, 96, 0.005f, 1),
                       test::LowRank(50, 512, 96, 0.005f, 2), 600, 20),
            0.98);
}

// All components matter alike: of codes of four, centroids that are about equally far look alike.
TEST(CoarseQuantizer, FindsTheNearestListsOfVectorsWithoutStructure) {
  EXPECT_GE(ShareFound(test::Noise(24'000, 128, 1), test::Noise(50, 128, 2), 600, 40), 0.9);
}

// Few lists hold the longest vectors, which are nearest to most queries.
TEST(CoarseQuantizer, FindsTheNearestListsOfVectorsOfAnyLength) {
  Matrix vectors = test::RandomVectors(24'000, 32, 1);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < vectors.rows(); ++i) {
    const float factor = std::exp(normal(random));
    for (float& x : vectors.row(i)) x *= factor;
  }
  EXPECT_GE(ShareFound(vectors, test::RandomVectors(50, 32, 2), 600, 30, Metric::kInnerProduct),
            0.95);
}

// By L2 as by COSINE: a shorter centroid has vectors farther from it, of which one may be near.
TEST(CoarseQuantizer, RanksListsOfVectorsOfOneLengthAlikeByL2) {
  constexpr size_t kDim = 24, kLists = 700, kProbed = 20;
  Matrix vectors = test::RandomVectors(6'000, kDim, 1), queries = test::RandomVectors(30, kDim, 2);
  NormalizeRows(vectors.data(), vectors.rows(), kDim);
  NormalizeRows(queries.data(), queries.rows(), kDim);
  const auto codebook = test::TrainCodebook(Metric::kL2, vectors, kLists, 8, 4);
  EXPECT_NEAR(codebook->query_length(), 4.0f / 3, 1e-3);
  Matrix origin(1, kDim);  // less itself
  codebook->Prepare(origin, origin.data());
  codebook->Prepare(queries, queries.data());
  const CoarseQuantizer coarse(codebook);
  CoarseQuantizer::Scratch scratch;
  double recall = 0;
  for (size_t q = 0; q < queries.rows(); ++q) {
    const float* query = queries.row(q).data();
    std::vector<Neighbor> ranked(kLists), found(kProbed);
    coarse.Nearest(query, 1, kLists, scratch, ranked.data());
    for (const Neighbor& list : ranked) {
      float distance = 0, square = 0;
      for (size_t t = 0; t < kDim; ++t) {
        const float centroid = codebook->centroids().row(list.slot)[t];
        distance += (query[t] - centroid) * (query[t] - centroid);
        square += (centroid - origin.data()[t]) * (centroid - origin.data()[t]);
      }
      ASSERT_NEAR(list.distance, distance - square / 4, 0.01);
      ASSERT_NEAR(coarse.Distance(list, coarse.Weight(query)), distance, 0.01);
    }
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(kProbed);
    coarse.Nearest(query, 1, kProbed, scratch, found.data());
    recall += test::Recall(found, ranked);
  }
  EXPECT_GE(recall / static_cast<double>(queries.rows()), 0.95);
}

// Far from zero lengths are alike, but tell nothing of how far vectors are from their centroid.
TEST(CoarseQuantizer, RanksListsByL2AloneWhereLengthsTellNothing) {
  Matrix vectors = test::RandomVectors(3'000, 24, 1);
  for (float& x : std::span(vectors.data(), vectors.rows() * vectors.cols())) x += 500;
  EXPECT_EQ(test::TrainCodebook(Metric::kL2, vectors, 50, 8, 4)->query_length(), 0);
}

// Queries of which some have their neighbours in few lists, among centroids that are searched by
// codes or not.
class ListsOfEachQuery : public testing::TestWithParam<std::tuple<Metric, uint32_t>> {
 protected:
  static constexpr size_t kVectors = 12'000, kDim = 12;

  ListsOfEachQuery()
      : metric_(std::get<0>(GetParam())),
        vectors_(test::Uneven(kVectors, kDim, 1)),
        queries_(test::Uneven(200, kDim, 2)),
        codebook_(test::TrainCodebook(metric_, vectors_, std::get<1>(GetParam()), 6, 4)),
        coarse_(codebook_) {
    prepared_ = Matrix(queries_.rows(), kDim);
    codebook_->Prepare(queries_, prepared_.data());
  }

  // How many lists each query probes of `nprobe` on average, and which.
  std::vector<std::vector<Neighbor>> ToProbe(size_t nprobe) {
    const size_t stride = coarse_.MostToProbe(nprobe), n = queries_.rows();
    std::vector<Neighbor> lists(n * stride);
    std::vector<uint32_t> counts(n);
    coarse_.ToProbe(prepared_.data(), n, nprobe, scratch_, lists.data(), counts.data());
    std::vector<std::vector<Neighbor>> found;
    for (size_t q = 0; q < n; ++q) {
      EXPECT_LE(counts[q], stride);
      found.emplace_back(&lists[q * stride], &lists[q * stride] + counts[q]);
    }
    return found;
  }

  Metric metric_;
  Matrix vectors_, queries_, prepared_;
  std::shared_ptr<const Codebook> codebook_;
  CoarseQuantizer coarse_;
  CoarseQuantizer::Scratch scratch_;
};

TEST_P(ListsOfEachQuery, AreTheNearestAndOnAverageAsManyAsAskedFor) {
  ASSERT_FALSE(codebook_->probe_rule().empty());
  for (const size_t nprobe : {2, 6, 16, 40}) {
    const auto found = ToProbe(nprobe);
    size_t sum = 0, different = 0;
    double recall = 0, recall_by_number = 0;
    for (size_t q = 0; q < found.size(); ++q) {
      const size_t count = found[q].size();
      sum += count;
      different += count != nprobe;
      const size_t sorted = std::min(count, CoarseQuantizer::kSortedFirst);
      EXPECT_TRUE(std::is_sorted(found[q].begin(), found[q].begin() + sorted));
      std::vector<Neighbor> exact(codebook_->nlist()), nearest(count);
      coarse_.Nearest(prepared_.row(q).data(), 1, exact.size(), scratch_, exact.data());
      std::sort(exact.begin(), exact.end());
      exact.resize(count);
      coarse_.Nearest(prepared_.row(q).data(), 1, count, scratch_, nearest.data());
      recall += test::Recall(found[q], exact);
      recall_by_number += test::Recall(nearest, exact);
      // Alone as together.
      std::vector<Neighbor> alone(coarse_.MostToProbe(nprobe));
      uint32_t count_alone = 0;
      coarse_.ToProbe(prepared_.row(q).data(), 1, nprobe, scratch_, alone.data(), &count_alone);
      ASSERT_EQ(count_alone, count);
      EXPECT_TRUE(std::equal(found[q].begin(), found[q].end(), alone.begin()));
    }
    const auto queries = static_cast<double>(found.size());
    EXPECT_NEAR(static_cast<double>(sum) / queries, static_cast<double>(nprobe),
                0.2 * static_cast<double>(nprobe));
    EXPECT_GE(recall / queries, recall_by_number / queries - 0.02) << nprobe;
    if (nprobe > 2) EXPECT_GT(static_cast<double>(different), 0.5 * queries);
  }
}

TEST_P(ListsOfEachQuery, HoldMoreNeighborsThanAsManyForAll) {
  const EncodedVectors encoded = test::Encode(*codebook_, vectors_);
  const auto found = ToProbe(12);
  size_t sum = 0;
  for (const auto& lists : found) sum += lists.size();
  const size_t same = sum / found.size() + 1;
  const auto held = [&](const std::vector<Neighbor>& lists, size_t q) {
    size_t count = 0;
    for (const Neighbor& n : test::ExactScan(metric_, vectors_, queries_.row(q), 10)) {
      count += std::any_of(lists.begin(), lists.end(), [&](const Neighbor& list) {
        return list.slot == encoded.lists[n.slot];
      });
    }
    return count;
  };
  size_t by_rule = 0, by_number = 0;
  for (size_t q = 0; q < found.size(); ++q) {
    std::vector<Neighbor> nearest(same);
    coarse_.Nearest(prepared_.row(q).data(), 1, same, scratch_, nearest.data());
    by_rule += held(found[q], q);
    by_number += held(nearest, q);
  }
  // Of those that are missed at least a fourth less.
  const size_t all = 10 * found.size();
  EXPECT_LT(4 * (all - by_rule), 3 * (all - by_number));
}

TEST_P(ListsOfEachQuery, AreAllWhereAllAreAskedFor) {
  for (const auto& lists : ToProbe(codebook_->nlist())) {
    EXPECT_EQ(lists.size(), codebook_->nlist());
  }
}

INSTANTIATE_TEST_SUITE_P(MetricsAndLists, ListsOfEachQuery,
                         testing::Combine(testing::Values(Metric::kL2, Metric::kCosine),
                                          testing::Values(150u, 700u)));

// The order of lists that README.md gives figures for, on glosses.
TEST(CoarseQuantizer, RanksListsByMoreThanTheInnerProduct) {
  const size_t dim = 128, nlist = 300, probed = 12;
  const Matrix base = test::ReadWordNet("vectors.npy", ElementType::kFloat16, 25'000, dim);
  Matrix queries = test::ReadWordNet("queries.npy", ElementType::kFloat32, 500, dim);
  const auto codebook = test::TrainCodebook(Metric::kCosine, base, nlist, 32, 4);
  codebook->Prepare(queries, queries.data());
  const EncodedVectors encoded = test::Encode(*codebook, base);
  const CoarseQuantizer coarse(codebook);
  CoarseQuantizer::Scratch scratch;
  size_t by_rank = 0, by_product = 0;
  for (size_t q = 0; q < queries.rows(); ++q) {
    std::vector<Neighbor> found(probed);
    coarse.Nearest(queries.row(q).data(), 1, probed, scratch, found.data());
    const auto products =
        test::ExactScan(Metric::kInnerProduct, codebook->centroids(), queries.row(q), probed);
    const auto holds = [](const std::vector<Neighbor>& lists, uint32_t list) {
      return std::any_of(lists.begin(), lists.end(),
                         [&](const Neighbor& l) { return l.slot == list; });
    };
    for (const Neighbor& n : test::ExactScan(Metric::kCosine, base, queries.row(q), 10)) {
      by_rank += holds(found, encoded.lists[n.slot]);
      by_product += holds(products, encoded.lists[n.slot]);
    }
  }
  EXPECT_GT(by_rank, by_product);
}

INSTANTIATE_TEST_SUITE_P(MetricsAndLists, CoarseQuantizerTest,
                         testing::Combine(testing::Values(Metric::kL2, Metric::kInnerProduct,
                                                          Metric::kCosine),
                                          testing::Values(50u, 700u)));

}  // namespace
}  // namespace tessera
