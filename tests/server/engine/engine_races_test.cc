// What comes between the halves of something else: stopped where it matters, so that it always
// does.
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/stop.h"
#include "tests/server/engine/walk_stopping_store.h"

namespace tessera {
namespace {

constexpr uint64_t kPoints = 50;

// Stops after a commit, in a walk over points, and before points are read one by one.
class StoppingStore final : public WalkStoppingStore {
 public:
  struct Stops {
    Stop after_commit, in_walk, before_read;
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
    return StoreWrapper::MultiGet(family, keys, values);
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
