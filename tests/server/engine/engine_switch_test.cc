// A codebook comes into use between two halves of another work.
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/noted_batch.h"
#include "tests/server/engine/stop.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {
namespace {

constexpr uint64_t kPoints = 400;

// Stops after codes of a training have been written, before the sync that follows on the removal of
// what a large deletion has left, and after a codebook has been read.
class StoppingStore : public StoreWrapper {
 public:
  StoppingStore(std::unique_ptr<Store> store, Stop& after_codes, Stop& after_sweep,
                Stop& after_codebook)
      : StoreWrapper(std::move(store)),
        after_codes_(after_codes),
        after_sweep_(after_sweep),
        after_codebook_(after_codebook) {}

  std::unique_ptr<StoreBatch> NewBatch() override {
    return std::make_unique<NotedBatch>(StoreWrapper::NewBatch());
  }
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    auto& noted = dynamic_cast<NotedBatch&>(batch);
    const absl::Status status = StoreWrapper::Commit(*noted.batch, durability);
    if (noted.codes && durability == Durability::kAsync) after_codes_.Pass();
    if (noted.sweeps) swept_ = true;
    return status;
  }
  absl::Status Sync() override {
    if (swept_.exchange(false)) after_sweep_.Pass();
    return StoreWrapper::Sync();
  }
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) override {
    auto value = StoreWrapper::Get(family, key);
    if (family == Family::kCodebooks) after_codebook_.Pass();
    return value;
  }

 private:
  Stop& after_codes_;
  Stop& after_sweep_;
  Stop& after_codebook_;
  std::atomic<bool> swept_{false};
};

class EngineSwitch : public EngineFixture {
 protected:
  void SetUp() override {
    engine_options_.deletion_step_points = 50;
    EngineFixture::SetUp();
  }
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<StoppingStore>(std::move(store), after_codes_, after_sweep_,
                                           after_codebook_);
  }
  Stop after_codes_, after_sweep_, after_codebook_;
};

// Points are encoded and then deleted, and their records are gone when the codes come into use: so
// must the codes be, or the collection cannot be opened again.
TEST_F(EngineSwitch, LeavesNoCodesOfPointsWhoseRecordsHaveJustGone) {
  Create("c", 8);
  const Matrix rows = ClusteredRows(kPoints, 8, 1);
  UpsertBatch batch;
  for (uint64_t id = 0; id < kPoints; ++id) {
    batch.ids.emplace_back(id);
    batch.payloads.push_back(absl::StrCat("{\"odd\":", id % 2, "}"));
  }
  batch.vectors = FloatView(rows);
  ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  after_codes_.Arm();
  after_sweep_.Arm();
  const auto training = engine_->Train({.collection = "c", .nlist = 4});
  ASSERT_TRUE(training.ok()) << training.status();
  after_codes_.AwaitReached();
  Filter odd;
  odd.must.push_back({FieldCondition{FieldPath("odd"), Match{.integers = {1}}}});
  EXPECT_EQ(engine_->DeleteByFilter("c", odd, {})->points, kPoints / 2);
  after_sweep_.AwaitReached();
  after_codes_.Open();
  const auto trained = Await(training);
  EXPECT_EQ(trained->state, OperationState::kSucceeded) << trained->error;
  after_sweep_.Open();
  Reopen();
  ASSERT_NE(engine_, nullptr);
  EXPECT_EQ(engine_->GetCollection("c")->points, kPoints / 2);
  EXPECT_EQ(Search("c", ClusteredRows(1, 8, 2), 300).hits[0].size(), kPoints / 2);
}

// Both have seen that another version is in use when they begin.
TEST_F(EngineSwitch, TwoActivationsOfOneVersionAreOne) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, 8, 1)).ok());
  Train("c", 4);
  Train("c", 5);
  after_codebook_.Arm();
  absl::StatusOr<OperationInfo> second = absl::UnknownError("not started");
  std::thread beside([&] { second = engine_->ActivateCodebook("c", 1); });
  after_codebook_.AwaitReached();
  const auto first = Await(engine_->ActivateCodebook("c", 1));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->state, OperationState::kSucceeded) << first->error;
  after_codebook_.Open();
  beside.join();
  second = Await(second);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->state, OperationState::kFailed);
  Reopen();
  ASSERT_NE(engine_, nullptr);
  EXPECT_EQ(engine_->GetCollection("c")->points, kPoints);
  EXPECT_EQ(Search("c", ClusteredRows(1, 8, 2), 500, false, 4).hits[0].size(), kPoints);
}

}  // namespace
}  // namespace tessera
