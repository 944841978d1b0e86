// Searches that ask for a recall: what they find, and what that was measured with.
#include <functional>
#include <limits>
#include <set>

#include "absl/time/clock.h"
#include "server/engine/calibration.h"
#include "server/engine/record_keys.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 24;
constexpr size_t kPoints = 6'000;
constexpr size_t kQueries = 200;

class EngineCalibrateTest : public EngineFixture {
 protected:
  void Fill(ElementType type = ElementType::kFloat32,
            VectorPlacement placement = VectorPlacement::kMemory) {
    Create("c", kDimension, Metric::kL2, type, placement);
    ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1)).ok());
  }
  absl::StatusOr<OperationInfo> Calibrate(VectorsView queries = {}) {
    return Await(engine_->Calibrate({"c", queries}));
  }
  void MustCalibrate(VectorsView queries = {}) {
    const auto operation = Calibrate(queries);
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  }
  std::optional<CalibrationInfo> Info() { return engine_->GetCollection("c")->calibration; }

  SearchRequest RequestFor(double recall, size_t limit = 10) const {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries_);
    request.limit = limit;
    request.target_recall = recall;
    return request;
  }
  SearchResult SearchFor(double recall, size_t limit = 10) {
    auto result = engine_->Search(RequestFor(recall, limit));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }
  double RecallOf(const SearchResult& result, size_t limit = 10) {
    const SearchResult truth = Search("c", queries_, limit, /*exact=*/true);
    size_t hits = 0;
    for (size_t q = 0; q < kQueries; ++q) {
      const std::vector<uint64_t> ids = Ids(truth.hits[q]);
      const std::set<uint64_t> nearest(ids.begin(), ids.end());
      for (const uint64_t id : Ids(result.hits[q])) hits += nearest.contains(id);
    }
    return static_cast<double>(hits) / static_cast<double>(limit * kQueries);
  }
  static bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 300 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(100));
    return condition();
  }
  // The calibration record as it is stored, under its key.
  std::string Key() { return CalibrationKey(1, engine_->GetCollection("c")->codebook_version); }
  std::optional<std::string> Stored() { return store_->Get(Family::kMeta, Key()).value(); }

  Matrix queries_ = ClusteredRows(kQueries, kDimension, 2);
};

TEST_F(EngineCalibrateTest, FindsWhatIsAskedForAndNotMuchMore) {
  Fill();
  Train("c", 100);
  ASSERT_TRUE(Info().has_value());
  EXPECT_EQ(Info()->points, kPoints);
  EXPECT_TRUE(Info()->stored_queries);
  for (const size_t limit : {1, 10, 50}) {
    uint64_t first_lists = 0, lists = 0;
    for (const double recall : {0.7, 0.8, 0.9, 0.95, 0.99}) {
      const SearchResult result = SearchFor(recall, limit);
      const double found = RecallOf(result, limit);
      EXPECT_EQ(result.report.plan, SearchPlan::kLists);
      // What it was measured with are other queries: some 190 of them.
      EXPECT_GE(found, recall - 0.03) << "limit " << limit;
      ASSERT_TRUE(result.report.expected_recall.has_value());
      EXPECT_GE(*result.report.expected_recall, recall - 1e-6);
      EXPECT_NEAR(*result.report.expected_recall, found, limit == 1 ? 0.1 : 0.05)
          << "limit " << limit;
      lists = result.report.lists_scanned;
      if (first_lists == 0) first_lists = lists;
    }
    EXPECT_LT(first_lists, lists);
    EXPECT_LT(lists, kQueries * 100);
  }
}

TEST_F(EngineCalibrateTest, AllOfThemIsAnExactSearch) {
  Fill();
  Train("c", 100);
  const SearchResult result = SearchFor(1);
  EXPECT_EQ(result.report.plan, SearchPlan::kExact);
  EXPECT_EQ(result.report.expected_recall, 1.0);
  EXPECT_EQ(RecallOf(result), 1);
}

TEST_F(EngineCalibrateTest, WhatWasNotMeasuredIsAnExactSearch) {
  Fill();
  EXPECT_EQ(SearchFor(0.9).report.plan, SearchPlan::kExact) << "not trained";
  Train("c", 100);
  EXPECT_EQ(SearchFor(0.9, 1'500).report.plan, SearchPlan::kExact) << "too many neighbours";
  EXPECT_EQ(SearchFor(0.9, 900).report.plan, SearchPlan::kLists);
}

TEST_F(EngineCalibrateTest, SearchesThatAskForNoneTellWhatTheyFind) {
  Fill();
  Train("c", 100);
  const SearchResult result = Search("c", queries_, 10, false, /*nprobe=*/3);
  ASSERT_TRUE(result.report.expected_recall.has_value());
  EXPECT_NEAR(*result.report.expected_recall, RecallOf(result), 0.04);
  EXPECT_EQ(Search("c", queries_, 10, true).report.expected_recall, 1.0);
  SearchRequest by_codes = RequestFor(0.9);
  by_codes.target_recall.reset();
  by_codes.no_rerank = true;
  EXPECT_EQ(engine_->Search(by_codes)->report.expected_recall, std::nullopt);
}

TEST_F(EngineCalibrateTest, VectorsOnDiskAndOfBytes) {
  Create("c", kDimension, Metric::kCosine, ElementType::kFloat16, VectorPlacement::kDisk);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1)).ok());
  Train("c", 100);
  for (const double recall : {0.8, 0.95}) EXPECT_GE(RecallOf(SearchFor(recall)), recall - 0.03);
}

TEST_F(EngineCalibrateTest, FilteredSearchesFindAsManyAsTheyAreAskedFor) {
  Fill();
  Train("c", 100);
  SearchRequest request = RequestFor(0.9);
  HasId half;
  for (uint64_t id = 0; id < kPoints; id += 2) half.ids.push_back(PointId(id));
  request.filter.must.push_back({half});
  const auto result = engine_->Search(request);
  ASSERT_TRUE(result.ok()) << result.status();
  for (const auto& hits : result->hits) EXPECT_EQ(hits.size(), 10u);
}

TEST_F(EngineCalibrateTest, QueriesUnlikeThePointsAreFoundWhenTheyAreGiven) {
  Fill();
  Train("c", 100);
  // Between the clusters.
  Matrix queries(2 * kQueries, kDimension);
  const Matrix a = ClusteredRows(2 * kQueries, kDimension, 5);
  const Matrix b = ClusteredRows(2 * kQueries, kDimension, 6);
  for (size_t i = 0; i < 2 * kQueries * kDimension; ++i) {
    queries.data()[i] = (a.data()[i] + b.data()[i]) / 2;
  }
  const uint64_t lists_before = SearchFor(0.9).report.lists_scanned;
  MustCalibrate({reinterpret_cast<const std::byte*>(queries.data()), ElementType::kFloat32,
                 kQueries, kDimension});
  EXPECT_FALSE(Info()->stored_queries);
  EXPECT_EQ(Info()->queries, kQueries);
  EXPECT_NE(SearchFor(0.9).report.lists_scanned, lists_before);

  SearchRequest request = RequestFor(0.9);
  request.vectors = {reinterpret_cast<const std::byte*>(queries.row(kQueries).data()),
                     ElementType::kFloat32, kQueries, kDimension};
  const auto found = engine_->Search(request);
  request.target_recall = 1;
  const auto truth = engine_->Search(request);
  ASSERT_TRUE(found.ok() && truth.ok());
  size_t hits = 0;
  for (size_t q = 0; q < kQueries; ++q) {
    const std::vector<uint64_t> ids = Ids(truth->hits[q]);
    const std::set<uint64_t> nearest(ids.begin(), ids.end());
    for (const uint64_t id : Ids(found->hits[q])) hits += nearest.contains(id);
  }
  EXPECT_NEAR(static_cast<double>(hits) / (10 * kQueries), 0.9, 0.03);
  // And back, with the points that were held back from training.
  MustCalibrate();
  EXPECT_TRUE(Info()->stored_queries);
  EXPECT_EQ(SearchFor(0.9).report.lists_scanned, lists_before);
}

TEST_F(EngineCalibrateTest, ARestartAndARestoreKeepIt) {
  engine_options_.snapshot_path = directory_ + "/snapshots";
  Reopen();
  Fill();
  Train("c", 100);
  const uint64_t lists = SearchFor(0.9).report.lists_scanned;
  const int64_t time = Info()->create_time_ms;
  Reopen();
  ASSERT_TRUE(Info().has_value());
  EXPECT_EQ(Info()->create_time_ms, time);
  EXPECT_EQ(SearchFor(0.9).report.lists_scanned, lists);

  const auto made = Await(engine_->snapshots().Create("c"));
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  RestoreRequest restore;
  restore.snapshot_id = made->snapshot_id;
  restore.collection = "c";
  ASSERT_TRUE(Await(engine_->snapshots().Restore(restore)).ok());
  ASSERT_TRUE(Info().has_value());
  EXPECT_EQ(SearchFor(0.9).report.lists_scanned, lists);
}

TEST_F(EngineCalibrateTest, EachCodebookHasItsOwn) {
  Fill();
  Train("c", 100);
  const uint64_t lists = SearchFor(0.9).report.lists_scanned;
  const std::string first_key = Key();
  Train("c", 10);
  EXPECT_NE(SearchFor(0.9).report.lists_scanned, lists);
  EXPECT_EQ(Info()->codebook_version, 2u);
  ASSERT_TRUE(Await(engine_->ActivateCodebook("c", 1)).ok());
  // Measured anew, with the same points.
  EXPECT_EQ(Info()->codebook_version, 1u);
  EXPECT_EQ(SearchFor(0.9).report.lists_scanned, lists);
  ASSERT_TRUE(Await(engine_->ActivateCodebook("c", 2)).ok());
  ASSERT_TRUE(engine_->DeleteCodebook("c", 1).ok());
  EXPECT_FALSE(store_->Get(Family::kMeta, first_key)->has_value());
  EXPECT_TRUE(Stored().has_value());
}

TEST_F(EngineCalibrateTest, NothingOfADeletedCollectionIsLeft) {
  Fill();
  Train("c", 100);
  const std::string key = Key();
  ASSERT_TRUE(store_->Get(Family::kMeta, key)->has_value());
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  EXPECT_FALSE(store_->Get(Family::kMeta, key)->has_value());
}

TEST_F(EngineCalibrateTest, WhatIsDamagedIsMeasuredAgain) {
  Fill();
  Train("c", 100);
  const uint64_t lists = SearchFor(0.9).report.lists_scanned;
  const std::string key = Key();
  std::string value = *Stored();
  value[value.size() / 2] ^= 1;
  auto batch = store_->NewBatch();
  batch->Put(Family::kMeta, key, value);
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  Reopen();
  // Until then it is searched exactly.
  EXPECT_GE(RecallOf(SearchFor(0.9)), 0.87);
  ASSERT_TRUE(Becomes([this] { return Info().has_value(); }));
  EXPECT_NE(*Stored(), value);
  EXPECT_EQ(SearchFor(0.9).report.plan, SearchPlan::kLists);
  EXPECT_NEAR(static_cast<double>(SearchFor(0.9).report.lists_scanned), static_cast<double>(lists),
              0.5 * static_cast<double>(lists));
}

TEST_F(EngineCalibrateTest, WhatIsOutgrownIsMeasuredAgain) {
  engine_options_.quiet_before_compaction = absl::Milliseconds(100);
  Reopen();
  Fill();
  Train("c", 100);
  EXPECT_EQ(Info()->points, kPoints);
  ASSERT_TRUE(UpsertRows("c", kPoints, ClusteredRows(kPoints + 1, kDimension, 3)).ok());
  ASSERT_TRUE(Becomes([this] { return Info()->points > kPoints; }));
  EXPECT_EQ(Info()->points, 2 * kPoints + 1);
  EXPECT_GE(RecallOf(SearchFor(0.9)), 0.87);
}

TEST_F(EngineCalibrateTest, WhatWasMeasuredWithQueriesStays) {
  engine_options_.quiet_before_compaction = absl::Milliseconds(100);
  Reopen();
  Fill();
  Train("c", 100);
  MustCalibrate(FloatView(queries_));
  ASSERT_TRUE(UpsertRows("c", kPoints, ClusteredRows(2 * kPoints, kDimension, 3)).ok());
  absl::SleepFor(absl::Seconds(3));  // background work looks every second
  EXPECT_EQ(Info()->points, kPoints);
  EXPECT_FALSE(Info()->stored_queries);
}

TEST_F(EngineCalibrateTest, GrowthAddsCandidates) {
  // All that is asked for is found in the first list, among 10 candidates and not among 1.
  const RecallSurface::Grid grid = {{1}, {1, 10, 100}};
  std::vector<RecallSurface::Measured> shares;
  for (size_t k = 0; k < RecallSurface::kNeighbors.size(); ++k) {
    for (const float share : {0.0f, 1.0f, 1.0f}) shares.push_back({share, 0});
  }
  const Calibration calibration{.codebook_version = 1, .surface = {1'000, 100, grid, shares}};
  const auto depth_of = [&](uint64_t points) {
    return calibration.DepthFor(10, 0.9, {.points = points, .cost = {1, 1}, .suits_most = {5, 50}});
  };
  EXPECT_EQ(depth_of(500), (SearchDepth{1, 10}));
  EXPECT_EQ(depth_of(1'000), (SearchDepth{1, 10}));
  EXPECT_EQ(depth_of(4'000), (SearchDepth{1, 20}));
  EXPECT_EQ(calibration.RecallOf(10, {1, 10}, 1'000), 1);
  EXPECT_LT(calibration.RecallOf(10, {1, 10}, 4'000).value(), 0.6);
}

// Each point has nine moved copies: as a query it finds them in the nearest list.
TEST_F(EngineCalibrateTest, CopiesOfPointsDoNotMislead) {
  Create("c", kDimension);
  const Matrix originals = ClusteredRows(kPoints / 10, kDimension, 1);
  const Matrix moves = ClusteredRows(kPoints, kDimension, 8);
  Matrix rows(kPoints, kDimension);
  for (size_t i = 0; i < kPoints; ++i) {
    for (size_t j = 0; j < kDimension; ++j) {
      rows.row(i)[j] = originals.row(i / 10)[j] + 0.01f * moves.row(i)[j];
    }
  }
  ASSERT_TRUE(UpsertRows("c", 0, rows).ok());
  Train("c", 100);
  for (const double recall : {0.8, 0.9, 0.95}) {
    EXPECT_GE(RecallOf(SearchFor(recall)), recall - 0.03) << recall;
  }
}

TEST_F(EngineCalibrateTest, PointsAskForNoLessThanSuitsMostData) {
  const RecallSurface::Grid grid = {{1, 100}, {1, 1'000}};
  const std::vector<RecallSurface::Measured> all(4 * RecallSurface::kNeighbors.size(), {1, 0});
  Calibration calibration{.codebook_version = 1, .surface = {1'000, 100, grid, all}};
  const Calibration::Choice choice = {
      .points = 1'000, .cost = {1, 1}, .suits_most = {.nprobe = 60, .rerank = 200}};
  EXPECT_EQ(calibration.DepthFor(1, 0.9, choice), (SearchDepth{1, 1}));
  calibration.stored_queries = true;
  EXPECT_EQ(calibration.DepthFor(1, Calibration::kSuitsMostRecall, choice), (SearchDepth{60, 200}));
  const auto less = calibration.DepthFor(1, 0.9, choice);
  EXPECT_NEAR(less->nprobe, 0.35 * 60, 1.5);
  EXPECT_NEAR(less->rerank, 0.35 * 200, 1.5);
  // All lists, and no more.
  EXPECT_EQ(calibration.DepthFor(1, 0.999, choice)->nprobe, 100u);
}

TEST_F(EngineCalibrateTest, DefaultsThatFindTooLittleAreDeepened) {
  const RecallSurface::Grid grid = {{1, 100}, {1, 1'000}};
  std::vector<RecallSurface::Measured> shares;
  for (size_t i = 0; i < RecallSurface::kNeighbors.size(); ++i) {
    shares.insert(shares.end(), {{0.1f, 0}, {0.2f, 0}, {0.3f, 0}, {0.98f, 0}});
  }
  const Calibration calibration{.codebook_version = 1, .surface = {1'000, 100, grid, shares}};
  const Calibration::Choice choice = {.points = 1'000, .cost = {1, 1}, .suits_most = {10, 20}};
  const auto depth = calibration.DepthFor(10, 0.95, choice);
  ASSERT_TRUE(depth.has_value());
  const auto deepened = [&](uint32_t nprobe, uint32_t rerank) {
    const SearchDefaults defaults = calibration.Deepened({nprobe, rerank}, choice);
    return SearchDepth{defaults.nprobe, defaults.rerank};
  };
  EXPECT_EQ(deepened(10, 20), *depth);
  EXPECT_EQ(deepened(10, 1'000), *depth) << "too few lists";
  EXPECT_EQ(deepened(100, 20), (SearchDepth{100, 1'000})) << "too few candidates";
  EXPECT_EQ(deepened(100, 990), (SearchDepth{100, 990})) << "enough";
  // What no depth finds cannot be asked for.
  for (auto& measured : shares) measured.share /= 2;
  const Calibration poor{.codebook_version = 1, .surface = {1'000, 100, grid, shares}};
  EXPECT_EQ(poor.Deepened({10, 20}, choice).nprobe, 10u);
}

TEST_F(EngineCalibrateTest, FewPoints) {
  Create("c", kDimension);
  EXPECT_EQ(Calibrate().status().code(), absl::StatusCode::kFailedPrecondition) << "not trained";
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(1, kDimension, 1)).ok());
  Train("c");
  EXPECT_FALSE(Info().has_value());
  EXPECT_EQ(Calibrate().status().code(), absl::StatusCode::kFailedPrecondition) << "one point";
  ASSERT_TRUE(UpsertRows("c", 1, ClusteredRows(1, kDimension, 2)).ok());
  MustCalibrate();
  EXPECT_EQ(SearchFor(0.5).hits[0].size(), 2u);
}

TEST_F(EngineCalibrateTest, BadQueries) {
  Fill();
  Train("c", 100);
  const Matrix other(3, kDimension + 1);
  EXPECT_EQ(engine_->Calibrate({"c", FloatView(other)}).status().code(),
            absl::StatusCode::kInvalidArgument);
  Matrix infinite(1, kDimension);
  infinite.row(0)[3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(engine_->Calibrate({"c", FloatView(infinite)}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(engine_->Calibrate({"none", {}}).status().code(), absl::StatusCode::kNotFound);
  for (const double recall : {0.0, -1.0, 1.01, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(engine_->Search(RequestFor(recall)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << recall;
  }
  SearchRequest both = RequestFor(0.9);
  both.nprobe = 3;
  EXPECT_EQ(engine_->Search(both).status().code(), absl::StatusCode::kInvalidArgument);
}

// What was held back from the training tells nothing of points that have come since in other
// places.
TEST_F(EngineCalibrateTest, PointsThatHaveComeSinceAreMeasuredToo) {
  Create("c", kDimension, Metric::kCosine);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(4'000, kDimension, 1)).ok());
  Train("c");
  // Ten directions, and little around each.
  constexpr size_t kPlaces = 10;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  Matrix places(kPlaces, kDimension);
  for (size_t i = 0; i < kPlaces * kDimension; ++i) places.data()[i] = 8 * normal(random);
  const auto elsewhere = [&](Matrix& rows) {
    for (size_t i = 0; i < rows.rows(); ++i) {
      const std::span<const float> place = places.row(i % kPlaces);
      for (size_t d = 0; d < kDimension; ++d) rows.row(i)[d] = place[d] + 0.5f * normal(random);
    }
  };
  Matrix rows(20'000, kDimension);
  elsewhere(rows);
  ASSERT_TRUE(UpsertRows("c", 10'000, rows).ok());
  elsewhere(queries_);
  const uint32_t nprobe = engine_->GetCollection("c")->spec.index.default_nprobe;
  EXPECT_LT(RecallOf(Search("c", queries_, 10)), 0.8) << "the defaults of the training";
  MustCalibrate();
  EXPECT_GE(RecallOf(SearchFor(0.95)), 0.9);
  EXPECT_GE(RecallOf(Search("c", queries_, 10)), 0.9) << "the defaults of the calibration";
  EXPECT_GT(engine_->GetCollection("c")->spec.index.default_nprobe, nprobe);
  Reopen();
  EXPECT_GE(RecallOf(Search("c", queries_, 10)), 0.9);
}

}  // namespace
}  // namespace tessera
