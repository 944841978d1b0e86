#include <atomic>
#include <thread>

#include "index/base/limits.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

class EngineSearch : public EngineFixture {
 protected:
  static double Overlap(const SearchResult& a, const SearchResult& b) {
    size_t common = 0;
    size_t total = 0;
    for (size_t q = 0; q < a.hits.size(); ++q) {
      const auto left = Ids(a.hits[q]);
      const auto right = Ids(b.hits[q]);
      const std::set<uint64_t> truth(right.begin(), right.end());
      for (uint64_t id : left) common += truth.count(id);
      total += right.size();
    }
    return static_cast<double>(common) / static_cast<double>(total);
  }
  static void ExpectSame(const SearchResult& a, const SearchResult& b) {
    ASSERT_EQ(a.hits.size(), b.hits.size());
    for (size_t q = 0; q < a.hits.size(); ++q) {
      EXPECT_EQ(Ids(a.hits[q]), Ids(b.hits[q]));
      for (size_t i = 0; i < a.hits[q].size(); ++i) {
        EXPECT_EQ(a.hits[q][i].score, b.hits[q][i].score);
      }
    }
  }
};

struct Variant {
  Metric metric;
  VectorPlacement placement;
};

class EngineSearchVariants : public EngineSearch, public ::testing::WithParamInterface<Variant> {};

TEST_P(EngineSearchVariants, TrainedSearchFindsWhatExactSearchFinds) {
  Create("c", 24, GetParam().metric, ElementType::kFloat32, GetParam().placement);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(4000, 24, 1)).ok());
  const Matrix queries = ClusteredRows(50, 24, 2);
  const SearchResult truth = Search("c", queries, 10);  // untrained: exact
  for (const auto& hits : truth.hits) {
    ASSERT_EQ(hits.size(), 10u);
    EXPECT_TRUE(hits[0].score_is_exact);
  }
  Train("c");
  EXPECT_EQ(engine_->GetCollection("c")->state, CollectionState::kReady);
  ExpectSame(Search("c", queries, 10, /*exact=*/true), truth);
  EXPECT_GE(Overlap(Search("c", queries, 10), truth), 0.95);
  const SearchResult before = Search("c", queries, 10);
  Reopen();
  EXPECT_EQ(engine_->GetCollection("c")->codebook_version, 1u);
  ExpectSame(Search("c", queries, 10), before);
  ExpectSame(Search("c", queries, 10, /*exact=*/true), truth);
}

TEST_P(EngineSearchVariants, WritesAfterTrainingAreSeenAtOnce) {
  Create("c", 24, GetParam().metric, ElementType::kFloat32, GetParam().placement);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(3000, 24, 1)).ok());
  Train("c");
  const Matrix fresh = ClusteredRows(200, 24, 3);
  ASSERT_TRUE(UpsertRows("c", 10'000, fresh).ok());
  size_t found = 0;
  const SearchResult result = Search("c", fresh, 1);
  for (size_t i = 0; i < 200; ++i) found += Ids(result.hits[i])[0] == 10'000 + i;
  // Under the inner product a longer vector may beat the vector itself.
  EXPECT_TRUE(found == 200 || GetParam().metric == Metric::kInnerProduct);
  std::vector<PointId> gone;
  for (uint64_t i = 0; i < 200; ++i) gone.push_back(PointId(10'000 + i));
  ASSERT_EQ(engine_->DeletePoints("c", gone, {})->points, 200u);
  for (bool exact : {false, true}) {
    for (const auto& hits : Search("c", fresh, 10, exact).hits) {
      EXPECT_EQ(hits.size(), 10u);
      for (uint64_t id : Ids(hits)) EXPECT_LT(id, 10'000u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EngineSearchVariants,
                         ::testing::Values(Variant{Metric::kL2, VectorPlacement::kMemory},
                                           Variant{Metric::kInnerProduct, VectorPlacement::kMemory},
                                           Variant{Metric::kCosine, VectorPlacement::kMemory},
                                           Variant{Metric::kL2, VectorPlacement::kDisk},
                                           Variant{Metric::kCosine, VectorPlacement::kDisk}));

TEST_F(EngineSearch, FewAndManyDimensions) {
  for (const auto& [dimension, points] : {std::pair<uint32_t, size_t>{1, 3000},
                                          {2, 3000},
                                          {3, 3000},
                                          {8, 3000},
                                          {1536, 800},
                                          {4096, 400}}) {
    SCOPED_TRACE(dimension);
    const std::string name = "c" + std::to_string(dimension);
    Create(name, dimension);
    ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(points, dimension, 1)).ok());
    const Matrix queries = ClusteredRows(30, dimension, 2);
    const SearchResult truth = Search(name, queries, 10);  // untrained: exact
    Train(name);
    const SearchResult found = Search(name, queries, 10);
    EXPECT_GE(Overlap(found, truth), 0.95);
    Reopen();
    ExpectSame(Search(name, queries, 10), found);
  }
}

TEST_F(EngineSearch, BySearchIdLeavesThePointItselfOut) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(500, 8, 1)).ok());
  SearchRequest request;
  request.collection = "c";
  request.ids = {PointId(uint64_t{3}), PointId(uint64_t{4})};
  request.limit = 5;
  auto result = engine_->Search(request);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->hits.size(), 2u);
  for (size_t q = 0; q < 2; ++q) {
    EXPECT_EQ(result->hits[q].size(), 5u);
    for (uint64_t id : Ids(result->hits[q])) EXPECT_NE(id, 3 + q);
  }
  request.ids = {PointId(uint64_t{3}), PointId(uint64_t{4000})};
  EXPECT_EQ(GetStatusDetails(engine_->Search(request).status()).resource_name, "4000");
}

TEST_F(EngineSearch, CodesAloneAreNotCalledExact) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(500, 8, 1)).ok());
  Train("c");
  const Matrix query = ClusteredRows(1, 8, 5);
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(query);
  request.limit = 5;
  request.no_rerank = true;
  auto result = engine_->Search(request);
  ASSERT_TRUE(result.ok());
  for (const Hit& hit : result->hits[0]) EXPECT_FALSE(hit.score_is_exact);
}

// However little each query reads: they would hold up the thread that receives calls.
TEST_F(EngineSearch, ManyQueriesAreNotQuick) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(1'000, 2, 1)).ok());
  Train("c", 20);
  SearchRequest request;
  request.collection = "c";
  request.nprobe = 1;
  request.no_rerank = true;
  const Matrix one(1, 2), many(2'000, 2);
  request.vectors = FloatView(one);
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kQuick);
  request.vectors = FloatView(many);
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kSlow);
}

TEST_F(EngineSearch, ASearchThatNobodyWaitsForIsCancelled) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(100, 2, 1)).ok());
  const Matrix query(1, 2);
  std::atomic<bool> cancelled{false};
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(query);
  request.cancelled = &cancelled;
  EXPECT_TRUE(engine_->Search(request).ok());
  cancelled = true;
  EXPECT_TRUE(absl::IsCancelled(engine_->Search(request).status()));
  for (const auto& result : engine_->SearchEach({{request, request}})) {
    EXPECT_TRUE(absl::IsCancelled(result.status()));
  }
  EXPECT_TRUE(absl::IsCancelled(
      engine_->SearchGroups({.search = request, .group_by = FieldPath("g"), .group_size = 1})
          .status()));
}

TEST_F(EngineSearch, BadSearchesAreRefusedByField) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(10, 8, 1)).ok());
  const Matrix query = ClusteredRows(1, 8, 5);
  const auto refused = [this](const SearchRequest& request) {
    auto result = engine_->Search(request);
    EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
    return GetStatusDetails(result.status()).field;
  };
  SearchRequest good;
  good.collection = "c";
  good.vectors = FloatView(query);
  SearchRequest bad = good;
  bad.limit = 0;
  EXPECT_EQ(refused(bad), "limit");
  bad.limit = limits::kSearchLimitMax + 1;
  EXPECT_EQ(refused(bad), "limit");
  bad = good;
  bad.vectors.rows = 0;
  EXPECT_EQ(refused(bad), "vectors");
  bad = good;
  bad.ids = {PointId(uint64_t{1})};
  EXPECT_EQ(refused(bad), "ids");
  bad = good;
  bad.rerank = limits::kRerankMax + 1;
  EXPECT_EQ(refused(bad), "params.rerank");
  const Matrix narrow = ClusteredRows(1, 7, 5);
  bad = good;
  bad.vectors = FloatView(narrow);
  EXPECT_EQ(refused(bad), "vectors");
}

TEST_F(EngineSearch, SearchesNeverMissOrRepeatAPointThatIsBeingReplaced) {
  Create("c", 4);
  Matrix far = ClusteredRows(2000, 4, 1);
  for (size_t i = 0; i < 2000 * 4; ++i) far.data()[i] += 1000;
  ASSERT_TRUE(UpsertRows("c", 100, far).ok());
  ASSERT_TRUE(UpsertRows("c", 0, Matrix(5, 4)).ok());
  Train("c");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop.load()) ASSERT_TRUE(UpsertRows("c", 0, Matrix(5, 4)).ok());
  });
  const Matrix query(1, 4);
  for (int i = 0; i < 300; ++i) {
    auto ids = Ids(Search("c", query, 5).hits[0]);
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
  }
  stop.store(true);
  writer.join();
}

}  // namespace
}  // namespace tessera
