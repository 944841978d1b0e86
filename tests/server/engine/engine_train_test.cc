#include <thread>

#include "server/engine/records.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

class EngineTrain : public EngineFixture {};

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
  // What a kill before the switch leaves: a codebook and codes of a version not in the catalog.
  const uint32_t id = 1;
  auto book = store_->Get(Family::kCodebooks, CodebookKey(id, 1));
  ASSERT_TRUE(book.ok() && book->has_value());
  CodebookRecordView record;
  ASSERT_TRUE(DecodeCodebook(CodebookKey(id, 1), **book, &record).ok());
  std::string value;
  EncodeCodebook(CodebookKey(id, 2), record, &value);
  auto batch = store_->NewBatch();
  batch->Put(Family::kCodebooks, CodebookKey(id, 2), value);
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
  auto it = store_->Scan(Family::kCodes, range.begin, range.end, nullptr, false);
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

}  // namespace
}  // namespace tessera
