#include "index/codebook/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "index/base/limits.h"
#include "index/simd/convert.h"
#include "index/simd/exact.h"
#include "tests/index/codebook/codebook_test_util.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

CodebookSpec AllOpen() {
  CodebookSpec spec;
  spec.nlist = spec.subquantizers = spec.nbits = 0;
  spec.seed = spec.iterations = spec.training_vectors_per_list = 0;
  return spec;
}

TEST(ChooseIndexParameters, FillsEveryFieldWithinLimits) {
  for (uint32_t dimension :
       {1u, 2u, 3u, 8u, 9u, 33u, 100u, 128u, 768u, 4096u, limits::kDimensionMax}) {
    for (uint64_t points :
         {uint64_t{0}, uint64_t{1}, uint64_t{39}, uint64_t{1000}, uint64_t{1'000'000},
          uint64_t{10'000'000}, limits::kPointsPerCollectionMax}) {
      CodebookSpec spec = AllOpen();
      const RerankSource source = points % 2 == 0 ? RerankSource::kMemory : RerankSource::kDisk;
      ChooseIndexParameters(Metric::kL2, dimension, points, source, &spec);
      EXPECT_TRUE(CheckCodebookSpec(spec).ok()) << CheckCodebookSpec(spec);
      EXPECT_EQ(spec.metric, Metric::kL2);
      EXPECT_EQ(spec.dimension, dimension);
      EXPECT_NE(spec.seed, 0u);
      EXPECT_NE(spec.training_vectors_per_list, 0u);
      EXPECT_LE(spec.nlist, std::max<uint64_t>(points, 1));
      const SearchDefaults defaults =
          ChooseSearchDefaults(spec, ProbeRule(), SearchNeeds(), points);
      EXPECT_GE(defaults.nprobe, 1u);
      EXPECT_LE(defaults.nprobe, spec.nlist);
      EXPECT_LE(defaults.rerank, std::min<uint64_t>(points, limits::kRerankMax));
      EXPECT_LE(RerankFor(defaults, limits::kSearchLimitMax), limits::kRerankMax);
    }
  }
}

TEST(ChooseIndexParameters, KeepsWhatIsSet) {
  CodebookSpec spec = AllOpen();
  spec.nlist = 77;
  spec.subquantizers = 5;
  spec.nbits = 8;
  spec.seed = 123;
  spec.iterations = 3;
  spec.training_vectors_per_list = 50;
  ChooseIndexParameters(Metric::kCosine, 64, 1'000'000, RerankSource::kMemory, &spec);
  EXPECT_EQ(spec.nlist, 77u);
  EXPECT_EQ(spec.subquantizers, 5u);
  EXPECT_EQ(spec.nbits, 8u);
  EXPECT_EQ(spec.seed, 123u);
  EXPECT_EQ(spec.iterations, 3u);
  EXPECT_EQ(spec.training_vectors_per_list, 50u);
}

TEST(ChooseSearchDefaults, CoarserCodesAreRerankedDeeper) {
  const CodebookSpec fine = {.dimension = 128, .nlist = 100, .subquantizers = 64, .nbits = 4};
  const CodebookSpec coarse = {.dimension = 128, .nlist = 100, .subquantizers = 8, .nbits = 8};
  EXPECT_LT(ChooseSearchDefaults(fine, ProbeRule(), SearchNeeds(), 1'000'000).rerank,
            ChooseSearchDefaults(coarse, ProbeRule(), SearchNeeds(), 1'000'000).rerank);
  EXPECT_EQ(RerankFor(ChooseSearchDefaults(fine, ProbeRule(), SearchNeeds(), 1'000'000), 500),
            5000u);
}

TEST(ChooseSearchDefaults, RerankGrowsSlowlyWithThePoints) {
  const CodebookSpec spec = {.dimension = 128, .nlist = 100, .subquantizers = 32, .nbits = 4};
  const uint32_t small = ChooseSearchDefaults(spec, ProbeRule(), SearchNeeds(), 50'000).rerank;
  EXPECT_EQ(small, ChooseSearchDefaults(spec, ProbeRule(), SearchNeeds(), 1'000'000).rerank);
  EXPECT_EQ(2 * small, ChooseSearchDefaults(spec, ProbeRule(), SearchNeeds(), 16'000'000).rerank);
}

TEST(ChooseSearchDefaults, FollowWhatTrainingHasMeasured) {
  const CodebookSpec spec = {.dimension = 128, .nlist = 100, .subquantizers = 64, .nbits = 4};
  const SearchNeeds needs = {
      .vectors = 1'000'000, .points = 2'000'000, .nprobe = 40, .rerank = 300};
  const SearchDefaults of_sample = ChooseSearchDefaults(spec, ProbeRule(), needs, 1'000'000);
  EXPECT_EQ(of_sample.nprobe, 40u);
  EXPECT_EQ(of_sample.rerank, 300u);
  EXPECT_EQ(ChooseSearchDefaults(spec, ProbeRule(), needs, 4'000'000).rerank, 600u);
  EXPECT_EQ(ChooseSearchDefaults(spec, ProbeRule(), needs, 1'000).rerank, 300u);
}

TEST(ChooseSearchDefaults, FewerListsDoWhereEachQueryHasItsNumber) {
  const CodebookSpec spec = {.dimension = 128, .nlist = 1'024, .subquantizers = 64, .nbits = 4};
  const ProbeRule rule(8, std::vector<float>(ProbeRule::Levels(spec.nlist), 1.0f));
  EXPECT_EQ(ChooseSearchDefaults(spec, ProbeRule(), SearchNeeds(), 1'000'000).nprobe, 40u);
  EXPECT_EQ(ChooseSearchDefaults(spec, rule, SearchNeeds(), 1'000'000).nprobe, 32u);
  EXPECT_EQ(ChooseSearchDefaults(spec, rule, {.nprobe = 50}, 1'000'000).nprobe, 50u);
}

TEST(ChooseIndexParameters, CodesAreFinerWhereVectorsAreOnDisk) {
  CodebookSpec memory = AllOpen(), disk = AllOpen();
  ChooseIndexParameters(Metric::kL2, 128, 1'000'000, RerankSource::kMemory, &memory);
  ChooseIndexParameters(Metric::kL2, 128, 1'000'000, RerankSource::kDisk, &disk);
  EXPECT_EQ(memory.subquantizers, 32u);
  EXPECT_EQ(disk.subquantizers, 64u);
  EXPECT_GT(ChooseSearchDefaults(memory, ProbeRule(), SearchNeeds(), 1'000'000).rerank,
            ChooseSearchDefaults(disk, ProbeRule(), SearchNeeds(), 1'000'000).rerank);
}

std::vector<Neighbor> Exact(MatrixView base, std::span<const float> query, size_t k) {
  const ExactScorer scorer(Metric::kCosine, ElementType::kFloat32, query);
  std::vector<float> distances(base.rows);
  scorer.ScoreContiguous(reinterpret_cast<const std::byte*>(base.data), base.rows,
                         distances.data());
  std::vector<Neighbor> neighbors(base.rows);
  for (size_t i = 0; i < base.rows; ++i) neighbors[i] = {distances[i], static_cast<Slot>(i)};
  std::partial_sort(neighbors.begin(), neighbors.begin() + static_cast<ptrdiff_t>(k),
                    neighbors.end());
  neighbors.resize(k);
  return neighbors;
}

// How many of the true 10 nearest are among the `rerank` best codes of the nprobe nearest lists:
// the recall@10 of a search that reranks exactly. Written out without any search code of ours.
TEST(Defaults, FindTheNeighborsOnRealVectors) {
  const size_t dim = 128;
  const Matrix base = test::ReadWordNet("vectors.npy", ElementType::kFloat16, 25'000, dim);
  const Matrix queries = test::ReadWordNet("queries.npy", ElementType::kFloat32, 500, dim);
  CodebookSpec spec = AllOpen();
  ChooseIndexParameters(Metric::kCosine, dim, base.rows(), RerankSource::kMemory, &spec);
  TestExecutor executor(2);
  const auto trained = Codebook::Train(spec, base, executor, nullptr);
  ASSERT_TRUE(trained.ok()) << trained.status();
  const Codebook& codebook = **trained;
  EncodedVectors encoded;
  codebook.Encode(base, executor, &encoded);
  const SearchDefaults defaults =
      ChooseSearchDefaults(spec, codebook.probe_rule(), codebook.search_needs(), base.rows());
  const uint64_t rerank = RerankFor(defaults, 10);
  ASSERT_EQ(codebook.nbits(), 4u);

  size_t hits = 0;
  for (size_t q = 0; q < 100; ++q) {
    const float* query = queries.row(q).data();
    const std::vector<float> table = test::InnerProductTable(codebook, query);
    std::vector<Neighbor> lists(codebook.nlist());
    for (uint32_t l = 0; l < codebook.nlist(); ++l) {
      float dot = 0;
      for (size_t t = 0; t < dim; ++t) dot += query[t] * codebook.centroids().row(l)[t];
      lists[l] = {-dot, l};
    }
    std::sort(lists.begin(), lists.end());
    std::vector<float> list_distance(codebook.nlist(), 1e30f);
    for (uint32_t p = 0; p < defaults.nprobe; ++p) list_distance[lists[p].slot] = lists[p].distance;
    std::vector<Neighbor> candidates;
    for (Slot i = 0; i < base.rows(); ++i) {
      float distance = list_distance[encoded.lists[i]];
      if (distance == 1e30f) continue;
      const uint8_t* code = encoded.codes.data() + i * codebook.code_bytes();
      for (uint32_t j = 0; j < codebook.subquantizers(); ++j) {
        distance -= table[j * 16 + ((code[j / 2] >> (j % 2 * 4)) & 15)];
      }
      candidates.push_back({distance, i});
    }
    std::sort(candidates.begin(), candidates.end());
    if (candidates.size() > rerank) candidates.resize(rerank);
    std::set<Slot> kept;
    for (const Neighbor& candidate : candidates) kept.insert(candidate.slot);
    for (const Neighbor& neighbor : Exact(base, queries.row(q), 10)) {
      hits += kept.count(neighbor.slot);
    }
  }
  EXPECT_GE(static_cast<double>(hits) / 1000, 0.97);
}

}  // namespace
}  // namespace tessera
