// Data that are hard for arithmetic of few bits: what training measures must hold for them too.
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "index/codebook/parameters.h"
#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

constexpr size_t kVectors = 25'000;  // so many that centroids are found by their codes
constexpr size_t kQueries = 60;

// Vectors, and queries like them.
struct Data {
  Matrix vectors, queries;
};

Data Structured(size_t dim) {
  return {test::RandomVectors(kVectors, dim, 1), test::RandomVectors(kQueries, dim, 2)};
}

Data Scaled(Data data, float factor) {
  for (Matrix* matrix : {&data.vectors, &data.queries}) {
    for (float& x : std::span(matrix->data(), matrix->rows() * matrix->cols())) x *= factor;
  }
  return data;
}

// One vector in `every` is up to a million times as long as it should be.
Data WithOutliers(size_t every) {
  Data data = Structured(24);
  std::mt19937 random(3);
  std::uniform_real_distribution<float> exponent(1, 6);
  for (size_t i = 0; i < kVectors; i += every) {
    const float factor = std::pow(10.0f, exponent(random));
    for (float& x : data.vectors.row(i)) x *= factor;
  }
  return data;
}

// Around so many points, of which the next is a hundred times as far as vectors are from theirs.
Data InFarClusters(size_t clusters) {
  Data data = {test::Noise(kVectors, 24, 1), test::Noise(kQueries, 24, 2)};
  const Matrix centres = test::Noise(clusters, 24, 3);
  for (Matrix* matrix : {&data.vectors, &data.queries}) {
    for (size_t i = 0; i < matrix->rows(); ++i) {
      for (size_t t = 0; t < 24; ++t) matrix->row(i)[t] += 100 * centres.row(i % clusters)[t];
    }
  }
  return data;
}

// As recommenders have them: the longest are nearest to most queries, wherever those point.
Data OfAnyLength() {
  Data data = Structured(24);
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < kVectors; ++i) {
    const float factor = std::exp(normal(random));
    for (float& x : data.vectors.row(i)) x *= factor;
  }
  return data;
}

// Vectors of length one with one component more, which is the same far number for all of them, or
// for half of them that number less than 0: as coordinates beside an embedding are.
Data FarFromZero(float far, bool both_sides) {
  Data data = {Matrix(kVectors, 25), Matrix(kQueries, 25)};
  const Data near = Structured(24);
  for (auto [from, to] :
       {std::pair{&near.vectors, &data.vectors}, {&near.queries, &data.queries}}) {
    for (size_t i = 0; i < to->rows(); ++i) {
      std::copy_n(from->row(i).begin(), 24, to->row(i).begin());
      NormalizeRows(to->row(i).data(), 1, 24);
      to->row(i)[24] = both_sides && i % 2 == 0 ? -far : far;
    }
  }
  return data;
}

// Few components that are large, most tiny.
Data HeavyTailed(size_t dim) {
  Data data = {test::Noise(kVectors, dim, 1), test::Noise(kQueries, dim, 2)};
  for (Matrix* matrix : {&data.vectors, &data.queries}) {
    for (float& x : std::span(matrix->data(), matrix->rows() * dim)) x = std::pow(x, 5.0f);
  }
  return data;
}

struct Case {
  std::string name;
  Metric metric;
  std::function<Data()> data;
};

class DifficultDataTest : public testing::TestWithParam<Case> {};

TEST_P(DifficultDataTest, DefaultsFindTheNeighbours) {
  const Data data = GetParam().data();
  const Metric metric = GetParam().metric;
  CodebookSpec spec;
  spec.nlist = spec.subquantizers = spec.nbits = spec.iterations = 0;
  const auto dim = static_cast<uint32_t>(data.vectors.cols());
  ChooseIndexParameters(metric, dim, kVectors, RerankSource::kMemory, &spec);
  spec.iterations = 5;
  TestExecutor executor(2);
  const CodeUse use = {kVectors, CandidateNs(RerankSource::kMemory, dim * sizeof(float))};
  const auto codebook = Codebook::Train(spec, data.vectors, executor, nullptr, use);
  ASSERT_TRUE(codebook.ok()) << codebook.status();
  InvertedLists lists(*codebook);
  lists.Append(test::Encode(**codebook, data.vectors), test::Iota(kVectors, 0).data());

  const SearchDefaults defaults = ChooseSearchDefaults(
      (*codebook)->spec(), (*codebook)->probe_rule(), (*codebook)->search_needs(), kVectors);
  const IvfSearchParams params = {
      .k = 10, .nprobe = defaults.nprobe, .rerank = RerankFor(defaults, 10)};
  const test::MatrixSource source(data.vectors);
  std::vector<std::vector<Neighbor>> results(kQueries);
  IvfSearchStats stats;
  const absl::Status status =
      SearchIvf(*lists.Snapshot(), data.queries, params, SlotSet(), &source, results, &stats);
  ASSERT_TRUE(status.ok()) << status;
  double recall = 0;
  for (size_t q = 0; q < kQueries; ++q) {
    recall +=
        test::Recall(results[q], test::ExactScan(metric, data.vectors, data.queries.row(q), 10));
  }
  EXPECT_GE(recall / kQueries, 0.93);
  // Not by comparing with all of them, nor in all lists.
  EXPECT_LT(defaults.nprobe, (*codebook)->nlist() / 5);
  EXPECT_LT(stats.candidates_reranked, kQueries * kVectors / 5);
}

INSTANTIATE_TEST_SUITE_P(
    All, DifficultDataTest,
    testing::Values(Case{"Ordinary", Metric::kL2, [] { return Structured(24); }},
                    Case{"FewOutliers", Metric::kL2, [] { return WithOutliers(kVectors); }},
                    Case{"Outliers", Metric::kL2, [] { return WithOutliers(500); }},
                    Case{"ManyOutliers", Metric::kL2, [] { return WithOutliers(100); }},
                    Case{"OutliersByCosine", Metric::kCosine, [] { return WithOutliers(500); }},
                    Case{"OneOutlierByProduct", Metric::kInnerProduct,
                         [] { return WithOutliers(kVectors); }},
                    Case{"OfAnyLengthByProduct", Metric::kInnerProduct, OfAnyLength},
                    Case{"Small", Metric::kL2, [] { return Scaled(Structured(24), 1e-12f); }},
                    Case{"SmallByProduct", Metric::kInnerProduct,
                         [] { return Scaled(Structured(24), 1e-12f); }},
                    Case{"Large", Metric::kL2, [] { return Scaled(Structured(24), 1e12f); }},
                    Case{"TwoFarClusters", Metric::kL2, [] { return InFarClusters(2); }},
                    Case{"FarClusters", Metric::kL2, [] { return InFarClusters(30); }},
                    Case{"FarFromZero", Metric::kL2, [] { return FarFromZero(1e5f, false); }},
                    Case{"FarOnBothSides", Metric::kL2, [] { return FarFromZero(1e5f, true); }},
                    Case{"HeavyTailed4", Metric::kL2, [] { return HeavyTailed(4); }},
                    Case{"HeavyTailed12", Metric::kL2, [] { return HeavyTailed(12); }},
                    Case{"OneDimension", Metric::kL2, [] { return Structured(1); }},
                    Case{"TwoDimensions", Metric::kL2, [] { return Structured(2); }}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

}  // namespace
}  // namespace tessera
