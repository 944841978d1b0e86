// Commits that the store refuses, as it does where the disk is full, and goes on: what was begun
// leaves nothing behind, in memory or on disk.
#include <atomic>
#include <string>
#include <vector>

#include "server/engine/record_keys.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/noted_batch.h"
#include "tests/server/engine/stop.h"
#include "tests/server/engine/walk_stopping_store.h"

namespace tessera {
namespace {

constexpr uint64_t kPoints = 400;

struct Disk {
  std::atomic<bool> full{false};
  std::atomic<bool> full_after_codes{false};  // of a training or an activation
  Stop after_codes, in_walk;
};

class FullStore : public WalkStoppingStore {
 public:
  FullStore(std::unique_ptr<Store> store, Disk& disk)
      : WalkStoppingStore(std::move(store), disk.in_walk), disk_(disk) {}

  std::unique_ptr<StoreBatch> NewBatch() override {
    return std::make_unique<NotedBatch>(StoreWrapper::NewBatch());
  }
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    if (disk_.full) return absl::ResourceExhaustedError("the disk is full");
    auto& noted = dynamic_cast<NotedBatch&>(batch);
    const absl::Status status = StoreWrapper::Commit(*noted.batch, durability);
    if (noted.codes && durability == Durability::kAsync) {
      if (disk_.full_after_codes.exchange(false)) disk_.full = true;
      disk_.after_codes.Pass();
    }
    return status;
  }

 private:
  Disk& disk_;
};

class EngineRefused : public EngineFixture, public testing::WithParamInterface<VectorPlacement> {
 protected:
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<FullStore>(std::move(store), disk_);
  }

  // Collection "c" with points of the ids below kPoints.
  void CreateFilled() {
    Create("c", 8, Metric::kL2, ElementType::kFloat32, GetParam());
    ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, 8, 1)).ok());
  }
  void ExpectRefused(uint64_t first_id, size_t count) {
    disk_.full = true;
    const auto refused = UpsertRows("c", first_id, ClusteredRows(count, 8, 3));
    EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
    disk_.full = false;
  }
  void DeleteIds(uint64_t begin, uint64_t end) {
    std::vector<PointId> ids;
    for (uint64_t id = begin; id < end; ++id) ids.emplace_back(id);
    ASSERT_TRUE(engine_->DeletePoints("c", ids, {}).ok());
  }
  // By what the collection says, by all its vectors, and by its lists.
  void ExpectPoints(uint64_t points) {
    EXPECT_EQ(engine_->GetCollection("c")->points, points);
    const Matrix query = ClusteredRows(1, 8, 2);
    EXPECT_EQ(Search("c", query, 2 * kPoints, /*exact=*/true).hits[0].size(), points);
    EXPECT_EQ(Search("c", query, 2 * kPoints, false, /*nprobe=*/5).hits[0].size(), points);
  }
  void ExpectPointsAfterStartToo(uint64_t points) {
    ExpectPoints(points);
    Reopen();
    ASSERT_NE(engine_, nullptr);
    ExpectPoints(points);
  }
  void TouchSettings() {
    const auto updated = engine_->UpdateCollection(
        "c",
        [](CollectionSettings* settings) {
          settings->metadata = "{\"touched\":true}";
          return absl::OkStatus();
        },
        std::nullopt);
    ASSERT_TRUE(updated.ok()) << updated.status();
  }

  Disk disk_;
};

TEST_P(EngineRefused, ARefusedUpsertLeavesNoPoints) {
  CreateFilled();
  ExpectRefused(1'000, 3);
  TouchSettings();  // publishes a view without a write
  ExpectPoints(kPoints);
  // So many that their slots have no memory yet.
  ExpectRefused(1'000, 5'000);
  TouchSettings();
  ExpectPointsAfterStartToo(kPoints);
}

TEST_P(EngineRefused, ARefusedUpsertDuringATrainingLeavesNoCodes) {
  CreateFilled();
  disk_.after_codes.Arm();
  const auto training = engine_->Train({.collection = "c", .nlist = 4});
  ASSERT_TRUE(training.ok()) << training.status();
  disk_.after_codes.AwaitReached();
  ExpectRefused(1'000, 3);
  ASSERT_TRUE(UpsertRows("c", 2'000, ClusteredRows(3, 8, 3)).ok());
  ExpectPoints(kPoints + 3);
  disk_.after_codes.Open();
  const auto trained = Await(training);
  EXPECT_EQ(trained->state, OperationState::kSucceeded) << trained->error;
  ExpectPointsAfterStartToo(kPoints + 3);
}

// The highest slots are free again when the training begins, but no view says so.
TEST_P(EngineRefused, ATrainingEncodesWhatIsWrittenBesideIt) {
  CreateFilled();
  DeleteIds(kPoints - 5, kPoints);
  ExpectRefused(1'000, 1);
  disk_.after_codes.Arm();
  const auto training = engine_->Train({.collection = "c", .nlist = 4});
  ASSERT_TRUE(training.ok()) << training.status();
  disk_.after_codes.AwaitReached();
  ASSERT_TRUE(UpsertRows("c", 1'000, ClusteredRows(5, 8, 3)).ok());
  disk_.after_codes.Open();
  const auto trained = Await(training);
  EXPECT_EQ(trained->state, OperationState::kSucceeded) << trained->error;
  ExpectPointsAfterStartToo(kPoints);
}

TEST_P(EngineRefused, AnActivationDoesNotTakeUpCodesOfOneThatFailed) {
  CreateFilled();
  Train("c", 4);
  Train("c", 5);
  disk_.full_after_codes = true;
  auto activation = Await(engine_->ActivateCodebook("c", 1));
  ASSERT_TRUE(activation.ok()) << activation.status();
  EXPECT_EQ(activation->state, OperationState::kFailed);
  disk_.full = false;
  DeleteIds(100, 110);
  activation = Await(engine_->ActivateCodebook("c", 1));
  ASSERT_TRUE(activation.ok()) << activation.status();
  EXPECT_EQ(activation->state, OperationState::kSucceeded) << activation->error;
  ExpectPointsAfterStartToo(kPoints - 10);
}

TEST_P(EngineRefused, AStartNeedsNoRoomForWhatItWouldSweep) {
  CreateFilled();
  Train("c", 4);
  // Codes of a training that was interrupted, and a point of a collection that never came to be.
  auto batch = store_->NewBatch();
  batch->Put(Family::kCodes, CodeKey(1, 7, 0, 3), "code");
  batch->Put(Family::kPoints, PointKey(9, 1), "point");
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  disk_.full = true;
  Open();
  ASSERT_NE(engine_, nullptr);
  ExpectPoints(kPoints);
  disk_.full = false;
  ExpectPointsAfterStartToo(kPoints);
}

// Else it would wait for ever for somebody to build it.
TEST_P(EngineRefused, AnIndexWhoseBuildIsCancelledIsGoneEvenSo) {
  CreateFilled();
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(10'000, 8, 1), "{\"k\":1}").ok());
  disk_.in_walk.Arm();
  const auto created =
      engine_->CreatePayloadIndex("c", {FieldPath("k"), PayloadIndexType::kInteger});
  ASSERT_TRUE(created.ok()) << created.status();
  disk_.in_walk.AwaitReached();
  disk_.full = true;
  ASSERT_TRUE(engine_->CancelOperation(created->id).ok());
  disk_.in_walk.Open();
  EXPECT_EQ(Await(created)->state, OperationState::kCancelled);
  disk_.full = false;
  EXPECT_TRUE(engine_->GetCollection("c")->payload_indexes.empty());
  Reopen();
  ASSERT_EQ(engine_->GetCollection("c")->payload_indexes.size(), 1u);
  EXPECT_TRUE(engine_->GetCollection("c")->payload_indexes[0].ready);
}

INSTANTIATE_TEST_SUITE_P(Placements, EngineRefused,
                         testing::Values(VectorPlacement::kMemory, VectorPlacement::kDisk),
                         [](const auto& info) { return PlacementName(info.param); });

}  // namespace
}  // namespace tessera
