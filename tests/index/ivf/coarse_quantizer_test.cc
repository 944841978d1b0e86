#include "index/ivf/coarse_quantizer.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <tuple>

#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/low_rank.h"

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
