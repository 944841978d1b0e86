// The power is cut at random moments of a life of the engine, which goes on with what is left: all
// that was not synced is gone, or all but a random part. What is left equals the model after all
// writes that were acknowledged as synced, and at most those begun after them, each whole.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/fsck/fsck.h"
#include "server/storage/rocksdb_store.h"
#include "tests/environment.h"
#include "tests/fault/random_writes.h"
#include "tests/server/storage/child_process.h"
#include "tests/server/storage/faulty_env.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

// An operation of a life: the first ones are those of its start.
constexpr uint64_t kOperations = 1'200;
constexpr uint64_t kStartOperations = 12;

class PowerCutTest : public testing::Test {
 protected:
  void SetUp() override {
    seed_ = FromEnvironment("TESSERA_FAULT_SEED", std::random_device()());
    cycles_ = FromEnvironment("TESSERA_POWER_CUTS", 24);
    Open();
    ASSERT_EQ(RandomWrites::CreateCollection(*engine_), absl::OkStatus());
    ASSERT_EQ(engine_->Close(), absl::OkStatus());
    engine_.reset();
  }

  void Open() {
    auto store = OpenRocksDbStore({.path = data_dir_ + "/store", .free_disk_bytes_min = 0});
    ASSERT_TRUE(store.ok()) << store.status();
    EngineOptions options;
    options.snapshot_path = data_dir_ + "/snapshots";
    options.row_path = data_dir_ + "/rows";
    options.deletion_step_points = RandomWrites::kDeletionStep;
    auto engine = Engine::Open(*std::move(store), executor_, options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void Cycle(const std::string& fault, uint64_t operation, uint64_t seed) {
    ChildProcess child(
        {TESSERA_PROGRAM, data_dir_, fault, std::to_string(operation), std::to_string(seed)});
    const int state = child.Wait();
    ASSERT_TRUE(WIFEXITED(state)) << "signal " << WTERMSIG(state);
    ASSERT_TRUE(WEXITSTATUS(state) == kPowerCutExitCode || WEXITSTATUS(state) == 0)
        << WEXITSTATUS(state);
    cuts_ += WEXITSTATUS(state) == kPowerCutExitCode;
    const uint64_t number = child.LastNumber(0);
    ASSERT_NO_FATAL_FAILURE(CheckFiles());
    ASSERT_NO_FATAL_FAILURE(Open());
    ASSERT_NO_FATAL_FAILURE(CheckWrites(seed, number >> 32, number & 0xFFFF'FFFF));
    CheckSnapshots();
    // As often as not the next life begins with a log that was not closed.
    if (seed % 2 == 0) {
      ASSERT_EQ(engine_->Close(), absl::OkStatus());
    }
    engine_.reset();
  }

  void CheckFiles() {
    const auto report = CheckDataDirectory(data_dir_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
  }

  void CheckWrites(uint64_t seed, uint64_t durable, uint64_t begun) {
    const auto info = engine_->GetCollection(RandomWrites::kCollection);
    ASSERT_TRUE(info.ok()) << info.status();
    ASSERT_GE(info->sequence, model_.sequence() + durable) << "acknowledged writes are lost";
    ASSERT_LE(info->sequence, model_.sequence() + begun);
    const uint64_t kept = info->sequence - model_.sequence();
    RandomWrites writes(seed);
    for (uint64_t n = 0; n < kept; ++n) RandomWrites::Apply(model_, writes.Next());
    std::mt19937_64 random(seed);
    std::vector<std::vector<float>> queries;
    for (int i = 0; i < 3; ++i) queries.push_back(RandomWrites::Vector(random));
    ASSERT_EQ(CompareWithModel(*engine_, RandomWrites::kCollection, model_, queries), "");
    durable_ += durable;
    lost_ += begun - kept;
    kept_unacknowledged_ += kept - durable;
  }

  // A snapshot is there whole or not at all.
  void CheckSnapshots() {
    const auto snapshots = engine_->snapshots().List("", 1'000);
    ASSERT_TRUE(snapshots.ok()) << snapshots.status();
    for (const SnapshotInfo& snapshot : *snapshots) {
      ASSERT_EQ(snapshot.damage, absl::OkStatus());
      auto operation = engine_->snapshots().Verify(snapshot.id);
      while (operation.ok() && operation->state == OperationState::kRunning) {
        operation = engine_->AwaitOperation(operation->id, operation->revision, absl::Seconds(5));
      }
      ASSERT_TRUE(operation.ok()) << operation.status();
      ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
      ++snapshots_;
    }
  }

  TempDir dir_{TempDir::Place::kMemory};
  const std::string data_dir_ = dir_.path();
  InlineExecutor executor_;
  Model model_{Metric::kL2, RandomWrites::kDimension};
  std::unique_ptr<Engine> engine_;
  uint64_t seed_ = 0, cycles_ = 0;
  uint64_t cuts_ = 0, durable_ = 0, lost_ = 0, kept_unacknowledged_ = 0, snapshots_ = 0;
};

TEST_F(PowerCutTest, WhatWasSyncedIsThereAndNothingByHalves) {
  std::mt19937_64 random(seed_);
  for (uint64_t cycle = 0; cycle < cycles_ && !HasFailure(); ++cycle) {
    const std::string fault = cycle % 2 == 0 ? "power" : "power-part";
    // One in five while the last cut is recovered from.
    const uint64_t operation = 1 + random() % (cycle % 5 == 4 ? kStartOperations : kOperations);
    SCOPED_TRACE(absl::StrCat("TESSERA_FAULT_SEED=", seed_, ": cycle ", cycle, ", ", fault,
                              " at operation ", operation));
    Cycle(fault, operation, seed_ + cycle);
  }
  std::cout << cuts_ << " power cuts, " << durable_ << " writes acknowledged as synced, "
            << kept_unacknowledged_ << " others kept, " << lost_ << " lost; " << snapshots_
            << " times a snapshot was there" << std::endl;
  EXPECT_GE(cuts_, cycles_ * 9 / 10) << "too few cuts to mean anything";
  EXPECT_GE(durable_, cycles_ * 10) << "too few writes to mean anything";
  EXPECT_GE(lost_, 1u) << "no cut took anything: bytes that were not synced are not lost";
}

}  // namespace
}  // namespace tessera
