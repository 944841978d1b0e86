// What comes between the halves of something else: stopped where it matters, so that it always
// does.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/stop.h"
#include "tests/server/engine/walk_stopping_store.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

constexpr uint64_t kPoints = 50;

// Stops after a commit, before and in a walk over points, and before points or their slots are read
// one by one.
class StoppingStore final : public WalkStoppingStore {
 public:
  struct Stops {
    Stop after_commit, before_walk, in_walk, before_read, before_look_up;
  };
  StoppingStore(std::unique_ptr<Store> store, Stops& stops)
      : WalkStoppingStore(std::move(store), stops.in_walk), stops_(stops) {}

  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    const absl::Status status = StoreWrapper::Commit(batch, durability);
    stops_.after_commit.Pass();
    return status;
  }

  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override {
    if (family == Family::kPoints) stops_.before_read.Pass();
    if (family == Family::kIds) stops_.before_look_up.Pass();
    return StoreWrapper::MultiGet(family, keys, values);
  }

  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      bool bulk) override {
    if (family == Family::kPoints) stops_.before_walk.Pass();
    return WalkStoppingStore::Scan(family, begin, end, bulk);
  }

 private:
  Stops& stops_;
};

class EngineRaces : public EngineFixture {
 protected:
  EngineRaces() {
    engine_options_.log = [this](std::string_view line) {
      calibrated_ += line.find("calibrated anew") != std::string_view::npos;
    };
  }
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<StoppingStore>(std::move(store), stops_);
  }

  static Filter With(uint64_t id) {
    Filter filter;
    filter.must.push_back({HasId{{FilterId(id)}}});
    return filter;
  }
  static Filter Without(uint64_t id) {
    Filter filter;
    filter.must_not.push_back({HasId{{FilterId(id)}}});
    return filter;
  }
  std::vector<uint64_t> Matching(const Filter& filter) {
    const Matrix query = ClusteredRows(1, 8, 9);
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(query);
    request.limit = 2 * kPoints;
    request.exact = true;
    request.filter = filter;
    request.fields.payload.enabled = true;
    const auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    EXPECT_EQ(*engine_->CountPoints("c", filter), result->hits[0].size());
    return Ids(result->hits[0]);
  }
  // Looks while a write is in the store and not yet in a view.
  void Between(const std::function<void()>& write, const std::function<void()>& look) {
    stops_.after_commit.Arm();
    std::thread writer(write);
    stops_.after_commit.AwaitReached();
    look();
    stops_.after_commit.Open();
    writer.join();
  }

  std::atomic<int> calibrated_{0};
  StoppingStore::Stops stops_;
};

TEST_F(EngineRaces, AnIdMatchesThePointThatTheViewHas) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, 8, 1)).ok());
  const auto look = [&] {
    EXPECT_EQ(Matching(With(7)), std::vector<uint64_t>{7});
    const std::vector<uint64_t> others = Matching(Without(7));
    EXPECT_EQ(others.size(), kPoints - 1);
    EXPECT_EQ(std::count(others.begin(), others.end(), 7), 0);
    EXPECT_TRUE(Matching(With(kPoints + 1)).empty());
  };
  // No looks between them: what a filter matched in a view is kept.
  const Matrix row = ClusteredRows(1, 8, 3);
  // The first time to a new slot, then to one that was another point's or its own.
  for (int life = 0; life < 4; ++life) {
    Between([&] { EXPECT_TRUE(UpsertRows("c", 7, row).ok()); }, look);
  }
  Between([&] { EXPECT_TRUE(engine_->DeletePoints("c", {PointId(uint64_t{7})}, {}).ok()); }, look);
  EXPECT_TRUE(Matching(With(7)).empty());
  EXPECT_EQ(Matching(Without(7)).size(), kPoints - 1);
}

TEST_F(EngineRaces, ACancelledBuildLeavesTheIndexThatCameAfterIt) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(10'000, 8, 1), "{\"k\":1}").ok());
  const PayloadIndexSpec spec{FieldPath("k"), PayloadIndexType::kInteger};
  stops_.in_walk.Arm();
  const auto first = engine_->CreatePayloadIndex("c", spec);
  ASSERT_TRUE(first.ok()) << first.status();
  stops_.in_walk.AwaitReached();
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "k").ok());
  const auto second = Await(engine_->CreatePayloadIndex("c", spec));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->state, OperationState::kSucceeded) << second->error;
  ASSERT_TRUE(engine_->CancelOperation(first->id).ok());
  stops_.in_walk.Open();
  EXPECT_EQ(Await(first)->state, OperationState::kCancelled);
  ASSERT_EQ(engine_->GetCollection("c")->payload_indexes.size(), 1u);
  EXPECT_TRUE(engine_->GetCollection("c")->payload_indexes[0].ready);
}

TEST_F(EngineRaces, AStopWhileAnIndexIsBuiltLeavesItToTheNextStart) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(10'000, 8, 1), "{\"k\":1}").ok());
  stops_.in_walk.Arm();
  ASSERT_TRUE(engine_->CreatePayloadIndex("c", {FieldPath("k"), PayloadIndexType::kInteger}).ok());
  stops_.in_walk.AwaitReached();
  std::thread stopper([&] { EXPECT_TRUE(engine_->Close().ok()); });
  absl::SleepFor(absl::Milliseconds(100));
  stops_.in_walk.Open();
  stopper.join();
  engine_.reset();
  Open();
  ASSERT_EQ(engine_->GetCollection("c")->payload_indexes.size(), 1u);
  EXPECT_TRUE(engine_->GetCollection("c")->payload_indexes[0].ready);
}

TEST_F(EngineRaces, AReadDoesNotAnswerFromWhatIsBeingDeleted) {
  const Matrix rows = ClusteredRows(kPoints, 8, 1);
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(rows);
  request.vectors.rows = 1;
  request.fields.payload.enabled = true;
  for (bool again : {false, true}) {
    Create("c", 8);
    ASSERT_TRUE(UpsertRows("c", 0, rows, "{\"first\":true}").ok());
    stops_.before_read.Arm();
    absl::StatusOr<SearchResult> result = absl::UnknownError("not run");
    std::thread reader([&] { result = engine_->Search(request); });
    stops_.before_read.AwaitReached();
    ASSERT_TRUE(engine_->DeleteCollection("c").ok());
    if (again) {
      Create("c", 8);
      ASSERT_TRUE(UpsertRows("c", 0, rows, "{\"first\":false}").ok());
    }
    stops_.before_read.Open();
    reader.join();
    if (!again) {
      EXPECT_TRUE(absl::IsNotFound(result.status())) << result.status();
      continue;
    }
    ASSERT_TRUE(result.ok()) << result.status();
    for (const Hit& hit : result->hits[0]) EXPECT_EQ(hit.payload, "{\"first\":false}");
  }
}

TEST_F(EngineRaces, AFacetCountsPointsThatAreDeletedAndInsertedAgainOnce) {
  engine_options_.deletion_step_points = 5;
  Reopen();
  Create("c", 8);
  const Matrix rows = ClusteredRows(kPoints, 8, 1);
  ASSERT_TRUE(UpsertRows("c", 0, rows, "{\"k\":1}").ok());
  stops_.before_walk.Arm();
  absl::StatusOr<FacetResult> facet = absl::UnknownError("not run");
  std::thread reader([&] {
    FacetRequest request;
    request.collection = "c";
    request.key = FieldPath("k");
    request.limit = 10;
    facet = engine_->Facet(request);
  });
  stops_.before_walk.AwaitReached();
  // The records of the old ones stay for a while.
  stops_.before_read.Arm();
  ASSERT_TRUE(engine_->DeleteByFilter("c", Without(kPoints + 1), {}).ok());
  ASSERT_TRUE(UpsertRows("c", 0, rows, "{\"k\":1}").ok());
  stops_.before_walk.Open();
  reader.join();
  stops_.before_read.Open();
  ASSERT_TRUE(facet.ok()) << facet.status();
  ASSERT_EQ(facet->counts.size(), 1u);
  EXPECT_EQ(facet->counts[0].points, kPoints);
}

TEST_F(EngineRaces, AScrollAnswersWithPointsThatMatch) {
  Create("c", 8);
  const Matrix row = ClusteredRows(1, 8, 1);
  ASSERT_TRUE(UpsertRows("c", 1, row, "{\"a\":1}").ok());
  ASSERT_TRUE(UpsertRows("c", 2, row, "{\"a\":1}").ok());
  const Filter filter = Must(Where("a", Integers({1})));
  stops_.before_read.Arm();
  absl::StatusOr<ScrollPage> page = absl::UnknownError("not run");
  std::thread reader([&] {
    ElementType type;
    PointFields fields;
    fields.payload.enabled = true;
    page = engine_->ScrollPoints("c", 10, "", filter, fields, &type);
  });
  stops_.before_read.AwaitReached();
  stops_.before_look_up.Arm();
  stops_.before_read.Open();
  stops_.before_look_up.AwaitReached();  // both match, and are now read for the answer
  ASSERT_TRUE(UpsertRows("c", 1, row, "{\"a\":2}").ok());
  stops_.before_look_up.Open();
  reader.join();
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->points.size(), 1u);
  EXPECT_EQ(page->points[0].id, PointId(uint64_t{2}));
  EXPECT_EQ(page->points[0].payload, "{\"a\":1}");
}

TEST_F(EngineRaces, AHitThatIsDeletedMeanwhileHasNoVector) {
  Create("c", 8, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDisk);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, 8, 1)).ok());
  Train("c", 4);
  // The copy of vectors is damaged, so that they are read from the store.
  const std::string rows = directory_ + "/rows/1.rows";
  std::fstream file(rows, std::ios::in | std::ios::out | std::ios::binary);
  constexpr size_t kHeadBytes = 4096;
  file.seekp(kHeadBytes) << std::string(std::filesystem::file_size(rows) - kHeadBytes, '\xff');
  file.close();
  const Matrix query = ClusteredRows(1, 8, 9);
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(query);
  request.limit = 2;
  request.no_rerank = true;
  const auto nearest = Ids(engine_->Search(request)->hits[0]);
  request.fields.vector = true;
  stops_.before_read.Arm();
  absl::StatusOr<SearchResult> result = absl::UnknownError("not run");
  std::thread reader([&] { result = engine_->Search(request); });
  stops_.before_read.AwaitReached();
  ASSERT_TRUE(engine_->DeletePoints("c", {PointId(nearest[0])}, {}).ok());
  stops_.before_read.Open();
  reader.join();
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(Ids(result->hits[0]), nearest);
  EXPECT_EQ(result->hits[0][0].vector, "");
  EXPECT_EQ(result->hits[0][1].vector.size(), 8 * sizeof(float));
}

TEST_F(EngineRaces, ACalibrationWithQueriesIsNotReplacedByOneInTheBackground) {
  Create("c", 8, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDisk);
  // Without the copy of vectors, what is compared is read by walks.
  engine_options_.row_path.clear();
  Reopen();
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(200, 8, 1)).ok());
  Train("c", 4);
  stops_.in_walk.Arm();
  ASSERT_TRUE(UpsertRows("c", 1'000, ClusteredRows(1'000, 8, 3)).ok());
  stops_.in_walk
      .AwaitReached();  // by the calibration of a collection that has outgrown its last one
  const Matrix queries = ClusteredRows(50, 8, 9);
  CalibrateRequest request;
  request.collection = "c";
  request.queries = FloatView(queries);
  const auto operation = Await(engine_->Calibrate(request));
  ASSERT_TRUE(operation.ok()) << operation.status();
  ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  stops_.in_walk.Open();
  while (calibrated_ == 0) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_FALSE(engine_->GetCollection("c")->calibration->stored_queries);
}

}  // namespace
}  // namespace tessera
