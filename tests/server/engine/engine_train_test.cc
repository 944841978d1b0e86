#include <thread>

#include "index/base/limits.h"
#include "server/engine/records.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {
namespace {

// Once armed, refuses what comes after the next commit without a sync, which takes codes.
class FullAfterCodes : public StoreWrapper {
 public:
  using StoreWrapper::StoreWrapper;
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    if (full) return absl::ResourceExhaustedError("the disk is full");
    full = armed && durability == Durability::kAsync;
    return StoreWrapper::Commit(batch, durability);
  }
  bool armed = false;
  bool full = false;
};

class EngineTrain : public EngineFixture {
 protected:
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    auto wrapped = std::make_unique<FullAfterCodes>(std::move(store));
    disk_ = wrapped.get();
    return wrapped;
  }
  FullAfterCodes* disk_ = nullptr;
};

TEST_F(EngineTrain, NeedsPoints) {
  Create("c", 8);
  auto operation = engine_->Train({.collection = "c"});
  EXPECT_EQ(GetStatusDetails(operation.status()).reason, "TOO_FEW_POINTS");
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(10, 8, 1)).ok());
  EXPECT_EQ(GetStatusDetails(engine_->Train({.collection = "c", .nlist = 11}).status()).reason,
            "TOO_FEW_POINTS");
  Train("c");
  EXPECT_EQ(Search("c", ClusteredRows(1, 8, 2), 10).hits[0].size(), 10u);
}

// Slots of the dead lie above the last that is in use, and are more than those below it.
TEST_F(EngineTrain, TrainsWhatMostPointsHaveBeenDeletedFrom) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(1000, 8, 1)).ok());
  std::vector<PointId> ids;
  for (uint64_t id = 20; id < 1000; ++id) ids.push_back(PointId(id));
  ASSERT_TRUE(engine_->DeletePoints("c", ids, {}).ok());
  // Writes on, so that the slots of the dead are given back.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(1, 8, 2)).ok());
  Train("c");
  EXPECT_EQ(Search("c", ClusteredRows(1, 8, 2), 30).hits[0].size(), 20u);
}

TEST_F(EngineTrain, SameSeedAndDataGiveTheSameCodebook) {
  for (const char* name : {"a", "b"}) {
    Create(name, 16);
    ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(2000, 16, 1)).ok());
    Train(name, 16);
  }
  auto a = engine_->GetCodebook("a", 0);
  auto b = engine_->GetCodebook("b", 0);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->content_hash, b->content_hash);
  EXPECT_EQ(a->nlist, 16u);
  auto operation = Await(engine_->Train({.collection = "b", .nlist = 16, .seed = 99}));
  ASSERT_TRUE(operation.ok());
  EXPECT_EQ(operation->codebook_version, 2u);
  EXPECT_NE(engine_->GetCodebook("b", 0)->content_hash, a->content_hash);
  EXPECT_EQ(engine_->ListCodebooks("b")->size(), 2u);
}

TEST_F(EngineTrain, WritesGoOnWhileItRuns) {
  Create("c", 16);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(6000, 16, 1)).ok());
  auto operation = engine_->Train({.collection = "c"});
  ASSERT_TRUE(operation.ok());
  EXPECT_EQ(GetStatusDetails(engine_->Train({.collection = "c"}).status()).reason,
            "OPERATION_RUNNING");
  // Ids come round again, so that a slow machine does not outgrow one search's limit.
  for (uint64_t i = 0; engine_->GetOperation(operation->id)->state == OperationState::kRunning;
       i += 20) {
    const Matrix rows = ClusteredRows(20, 16, static_cast<uint32_t>(i));
    ASSERT_TRUE(UpsertRows("c", 6000 + i % 3000, rows).ok());
    ASSERT_TRUE(engine_->DeletePoints("c", {PointId(i % 5000)}, {}).ok());
  }
  ASSERT_EQ(Await(operation)->state, OperationState::kSucceeded);
  const uint64_t points = *engine_->CountPoints("c", {});
  EXPECT_LE(points, 9000u);
  // All lists and all candidates: codes and points must be the same set.
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(*engine_->CountPoints("c", {}), points);
    EXPECT_EQ(Search("c", Matrix(1, 16), 10'000, false, 1 << 20).hits[0].size(), points);
    Reopen();
  }
}

TEST_F(EngineTrain, CancelLeavesTheCollectionAsItWas) {
  Create("c", 64);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(20'000, 64, 1)).ok());
  auto operation = engine_->Train({.collection = "c", .nlist = 500});
  ASSERT_TRUE(operation.ok());
  ASSERT_TRUE(engine_->CancelOperation(operation->id).ok());
  EXPECT_EQ(Await(operation)->state, OperationState::kCancelled);
  EXPECT_EQ(engine_->GetCollection("c")->codebook_version, 0u);
  EXPECT_TRUE(engine_->ListCodebooks("c")->empty());
  EXPECT_EQ(GetStatusDetails(engine_->GetCodebook("c", 0).status()).reason, "CODEBOOK_NOT_TRAINED");
}

TEST_F(EngineTrain, ExportedCodebookCanBeImportedElsewhere) {
  Create("a", 16);
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(2000, 16, 1)).ok());
  Train("a");
  auto bytes = engine_->ExportCodebook("a", 0);
  ASSERT_TRUE(bytes.ok());
  Create("b", 16);
  ASSERT_TRUE(UpsertRows("b", 0, ClusteredRows(500, 16, 9)).ok());
  auto operation = Await(engine_->ImportCodebook("b", *bytes));
  ASSERT_TRUE(operation.ok()) << operation.status();
  ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  EXPECT_EQ(engine_->GetCodebook("a", 0)->content_hash, engine_->GetCodebook("b", 0)->content_hash);
  EXPECT_EQ(Search("b", Matrix(1, 16), 500, false, 1 << 20).hits[0].size(), 500u);

  Create("narrow", 8);
  EXPECT_EQ(GetStatusDetails(engine_->ImportCodebook("narrow", *bytes).status()).reason,
            "CODEBOOK_MISMATCH");
  std::string damaged = *bytes;
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(engine_->ImportCodebook("b", damaged).status()));
}

TEST_F(EngineTrain, EncodeAndDecodeRoundTrip) {
  Create("c", 16);
  const Matrix rows = ClusteredRows(2000, 16, 1);
  ASSERT_TRUE(UpsertRows("c", 0, rows).ok());
  Train("c");
  auto codes = engine_->Encode("c", FloatView(rows));
  ASSERT_TRUE(codes.ok());
  auto decoded = engine_->Decode("c", *codes);
  ASSERT_TRUE(decoded.ok());
  for (size_t i = 0; i < rows.rows(); ++i) {
    double squares = 0;
    for (size_t j = 0; j < 16; ++j) {
      const double difference = rows.row(i)[j] - (*decoded)[i * 16 + j];
      squares += difference * difference;
    }
    EXPECT_NEAR(std::sqrt(squares), codes->errors[i], 1e-3 * (1 + codes->errors[i]));
  }
  codes->lists[0] = 1 << 30;
  EXPECT_EQ(GetStatusDetails(engine_->Decode("c", *codes).status()).field, "codes.lists[0]");
  codes->codes.pop_back();
  EXPECT_EQ(GetStatusDetails(engine_->Decode("c", *codes).status()).field, "codes.codes");
}

TEST_F(EngineTrain, RecoverySweepsAwayWhatAnInterruptedInstallationLeft) {
  Create("c", 16);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(1000, 16, 1)).ok());
  Train("c");
  const auto before = Search("c", Matrix(1, 16), 10);
  // What a kill before the switch leaves: codes of a version that is not in the catalog.
  const uint32_t id = 1;
  auto batch = store_->NewBatch();
  batch->Put(Family::kCodes, CodeKey(id, 2, 0, 5), "left over");
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  Reopen();
  EXPECT_EQ(engine_->ListCodebooks("c")->size(), 1u);
  EXPECT_FALSE(store_->Get(Family::kCodes, CodeKey(id, 2, 0, 5))->has_value());
  EXPECT_EQ(Ids(Search("c", Matrix(1, 16), 10).hits[0]), Ids(before.hits[0]));
}

TEST_F(EngineTrain, RecoveryRefusesCodesThatDoNotMatchThePoints) {
  Create("c", 16);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(1000, 16, 1)).ok());
  Train("c");
  const KeyRange range = CodesRange(1, 1);
  auto it = store_->Scan(Family::kCodes, range.begin, range.end, false);
  ASSERT_TRUE(it->Valid());
  auto batch = store_->NewBatch();
  batch->Delete(Family::kCodes, it->key());
  it.reset();
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  RocksDbOptions options;
  options.path = directory_ + "/store";
  auto engine = Engine::Open(*OpenRocksDbStore(options), executor_, {});
  EXPECT_TRUE(absl::IsDataLoss(engine.status())) << engine.status();
}

// Activate is the way back after a training, and forward again.
TEST_F(EngineTrain, AnOlderCodebookIsActivatedAndOthersAreDeleted) {
  Create("c", 16);
  const Matrix rows = ClusteredRows(2000, 16, 1);
  ASSERT_TRUE(UpsertRows("c", 0, rows).ok());
  const Matrix queries = ClusteredRows(20, 16, 2);
  Train("c", 8);
  const SearchResult first = Search("c", queries, 10, false, 1);
  Train("c", 20);
  ASSERT_TRUE(UpsertRows("c", 2000, ClusteredRows(100, 16, 3)).ok());
  std::vector<PointId> fresh;
  for (uint64_t id = 2000; id < 2100; ++id) fresh.emplace_back(id);
  ASSERT_TRUE(engine_->DeletePoints("c", fresh, {}).ok());

  EXPECT_EQ(engine_->ActivateCodebook("c", 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(engine_->ActivateCodebook("c", 9).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->ActivateCodebook("c", 0).status().code(), absl::StatusCode::kInvalidArgument);
  const auto operation = Await(engine_->ActivateCodebook("c", 1));
  ASSERT_TRUE(operation.ok()) << operation.status();
  ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  EXPECT_EQ(operation->codebook_version, 1u);
  for (int restart = 0; restart < 2; ++restart) {
    EXPECT_EQ(engine_->GetCollection("c")->codebook_version, 1u);
    EXPECT_EQ(engine_->ListCodebooks("c")->size(), 2u) << "the newer version is kept";
    const SearchResult again = Search("c", queries, 10, false, 1);
    for (size_t q = 0; q < queries.rows(); ++q) EXPECT_EQ(Ids(again.hits[q]), Ids(first.hits[q]));
    Reopen();
  }
  EXPECT_EQ(engine_->DeleteCodebook("c", 1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(engine_->DeleteCodebook("c", 3).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(engine_->DeleteCodebook("c", 2).ok());
  EXPECT_EQ(engine_->DeleteCodebook("c", 2).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->ListCodebooks("c")->size(), 1u);
}

// What a client encoded with version 2 must not be decoded with another codebook of that number.
TEST_F(EngineTrain, AVersionIsNeverGivenTwice) {
  Create("c", 16);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(500, 16, 4)).ok());
  Train("c", 8);
  Train("c", 8);
  ASSERT_EQ(Await(engine_->ActivateCodebook("c", 1))->state, OperationState::kSucceeded);
  ASSERT_TRUE(engine_->DeleteCodebook("c", 2).ok());
  Train("c", 8);
  EXPECT_EQ(engine_->GetCollection("c")->codebook_version, 3u);
  EXPECT_EQ(engine_->GetCodebook("c", 2).status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(Await(engine_->ActivateCodebook("c", 1))->state, OperationState::kSucceeded);
  ASSERT_TRUE(engine_->DeleteCodebook("c", 3).ok());
  Reopen();
  Train("c", 8);
  EXPECT_EQ(engine_->GetCollection("c")->codebook_version, 4u);
}

// Codes of an installation that failed, and that could not be swept away, do not come among those
// of the next one.
TEST_F(EngineTrain, WhatAFailedInstallationLeftIsOfNoLaterVersion) {
  Create("c", 16);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(500, 16, 4)).ok());
  Train("c", 8);
  const auto exported = engine_->ExportCodebook("c", 0);
  ASSERT_TRUE(exported.ok());
  disk_->armed = true;
  const auto failed = Await(engine_->ImportCodebook("c", *exported));
  ASSERT_TRUE(failed.ok());
  ASSERT_EQ(failed->state, OperationState::kFailed);
  ASSERT_TRUE(disk_->full);
  disk_->armed = false;
  disk_->full = false;
  ASSERT_TRUE(engine_->DeletePoints("c", {PointId(uint64_t{7})}, {}).ok());
  Train("c", 8);
  Reopen();  // refused if the code of point 7 were there
  EXPECT_EQ(engine_->GetCollection("c")->points, 499u);
}

TEST_F(EngineTrain, AsManyCodebooksAsTheLimitAreKept) {
  Create("c", 4);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(60, 4, 1)).ok());
  for (uint32_t i = 0; i < limits::kCodebooksKeptMax; ++i) Train("c", 2);
  TrainRequest request;
  request.collection = "c";
  const absl::Status refused = engine_->Train(request).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("delete one"));
  ASSERT_TRUE(engine_->DeleteCodebook("c", 1).ok());
  Train("c", 2);
}

// The store as a kill during an installation leaves it: codes of a version that nothing names.
TEST_F(EngineTrain, AnInterruptedActivationLeavesTheCurrentVersion) {
  Create("c", 8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(500, 8, 1)).ok());
  Train("c", 4);
  Train("c", 6);
  const Matrix queries = ClusteredRows(10, 8, 2);
  const SearchResult before = Search("c", queries, 5, false, 1);
  auto batch = store_->NewBatch();
  for (Slot slot = 0; slot < 100; ++slot) {
    CodeRecordView record;
    record.id = uint64_t{slot};
    record.code = "abcd";
    const std::string key = CodeKey(1, 1, slot % 4, slot);
    std::string value;
    EncodeCode(key, record, &value);
    batch->Put(Family::kCodes, key, value);
  }
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  Reopen();
  EXPECT_EQ(engine_->GetCollection("c")->codebook_version, 2u);
  EXPECT_EQ(engine_->ListCodebooks("c")->size(), 2u);
  const SearchResult after = Search("c", queries, 5, false, 1);
  for (size_t q = 0; q < queries.rows(); ++q) EXPECT_EQ(Ids(after.hits[q]), Ids(before.hits[q]));
  const KeyRange left = CodesRange(1, 1);
  EXPECT_FALSE(store_->Scan(Family::kCodes, left.begin, left.end, false)->Valid());
}

}  // namespace
}  // namespace tessera
