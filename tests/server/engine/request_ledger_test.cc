// A write with a request id has the effect of once.
#include "server/engine/request_ledger.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/record_keys.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

TEST(RequestLedger, FindsWhatWasAddedUntilItIsDropped) {
  RequestLedger ledger;
  EXPECT_EQ(ledger.Find("a"), nullptr);
  ledger.Add({"a", 1, {.points = 2, .sequence = 3}});
  ledger.Add({"b", 4, {.points = 5, .sequence = 6}});
  ASSERT_NE(ledger.Find("a"), nullptr);
  EXPECT_EQ(ledger.Find("a")->result.sequence, 3u);
  EXPECT_EQ(ledger.entry(1).request_id, "b");
  ledger.DropOldest();
  EXPECT_EQ(ledger.Find("a"), nullptr);
  EXPECT_EQ(ledger.size(), 1u);
}

class IdempotentWriteTest : public EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    Create("c", 4);
  }
  absl::StatusOr<WriteResult> Upsert(uint64_t id, float value, const std::string& request_id,
                                     Durability durability = Durability::kSync) {
    Matrix row(1, 4);
    std::fill_n(row.data(), 4, value);
    UpsertBatch batch;
    batch.ids = {PointId(id)};
    batch.vectors = FloatView(row);
    batch.options = {durability, request_id};
    return engine_->Upsert("c", batch);
  }
  void ExpectResult(const absl::StatusOr<WriteResult>& result, uint64_t points, uint64_t sequence) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->points, points);
    EXPECT_EQ(result->sequence, sequence);
  }
  uint64_t Sequence() { return engine_->GetCollection("c")->sequence; }
};

TEST_F(IdempotentWriteTest, ARepeatedWriteGetsTheFirstAnswerAndDoesNothing) {
  ExpectResult(Upsert(1, 1, "first"), 1, 1);
  ExpectResult(engine_->DeletePoints("c", {PointId(uint64_t{1})}, {.request_id = "gone"}), 1, 2);
  // Had the upsert been done again, the point would be back.
  ExpectResult(Upsert(1, 1, "first"), 1, 1);
  EXPECT_EQ(engine_->GetCollection("c")->points, 0u);
  // The second deletion would have found nothing.
  ExpectResult(engine_->DeletePoints("c", {PointId(uint64_t{1})}, {.request_id = "gone"}), 1, 2);
  EXPECT_EQ(Sequence(), 2u);
  Reopen();
  ExpectResult(Upsert(1, 1, "first"), 1, 1);
  ExpectResult(engine_->DeletePoints("c", {PointId(uint64_t{1})}, {.request_id = "gone"}), 1, 2);
  EXPECT_EQ(engine_->GetCollection("c")->points, 0u);
  EXPECT_EQ(Sequence(), 2u);
}

TEST_F(IdempotentWriteTest, AnIdOfAnotherRequestIsRefused) {
  ExpectResult(Upsert(1, 1, "x"), 1, 1);
  for (const auto& result :
       {Upsert(2, 1, "x"), Upsert(1, 2, "x"),
        engine_->DeletePoints("c", {PointId(uint64_t{1})}, {.request_id = "x"})}) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(result.status().message()), testing::HasSubstr("another request"));
  }
  EXPECT_EQ(Upsert(1, 1, std::string(limits::kRequestIdBytesMax + 1, 'x')).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Sequence(), 1u);
}

TEST_F(IdempotentWriteTest, RepeatsThatArriveTogetherAreDoneOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this] {
      for (uint64_t i = 0; i < 30; ++i) {
        ASSERT_TRUE(Upsert(i, static_cast<float>(i), absl::StrCat("r", i)).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Sequence(), 30u);
  EXPECT_EQ(engine_->GetCollection("c")->points, 30u);
}

TEST_F(IdempotentWriteTest, TheLedgerIsBounded) {
  const auto ledger_records = [this] {
    const KeyRange range = RequestRange(1);
    size_t count = 0;
    auto it = store_->Scan(Family::kMeta, range.begin, range.end, nullptr, false);
    for (; it->Valid(); it->Next()) ++count;
    return count;
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 16; ++t) {
    threads.emplace_back([this, t] {
      for (size_t i = t; i < limits::kRequestIdsKeptMax + 500; i += 16) {
        ASSERT_TRUE(engine_
                        ->DeletePoints("c", {PointId(uint64_t{i})},
                                       {Durability::kAsync, absl::StrCat("r", i)})
                        .ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ledger_records(), limits::kRequestIdsKeptMax);
  const uint64_t sequence = Sequence();
  ASSERT_TRUE(Upsert(1, 1, "r0").ok()) << "the oldest is forgotten, and its id is free";
  EXPECT_EQ(Sequence(), sequence + 1);
  Reopen();
  EXPECT_EQ(ledger_records(), limits::kRequestIdsKeptMax);
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  EXPECT_EQ(ledger_records(), 0u);
}

TEST_F(IdempotentWriteTest, AnAsyncWriteIsVisibleAtOnceAndThereAfterARestart) {
  ExpectResult(Upsert(7, 1, "", Durability::kAsync), 1, 1);
  EXPECT_EQ(engine_->GetCollection("c")->points, 1u);
  Reopen();
  EXPECT_EQ(engine_->GetCollection("c")->points, 1u);
}

}  // namespace
}  // namespace tessera
