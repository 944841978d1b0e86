// A write with a request id has the effect of once.
#include "server/engine/request_ledger.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/record_keys.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

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
  static Filter WithId(uint64_t id) { return Must({HasId{{FilterId(id)}}}); }
  std::string PayloadOf(uint64_t id) {
    ElementType type;
    const auto points =
        engine_->GetPoints("c", {PointId(id)}, {.payload = {.enabled = true}}, &type);
    return points.ok() && points->size() == 1 ? (*points)[0].payload : "missing";
  }
  // Appends to a list: what is done twice shows.
  static absl::Status Append(size_t, PointData* point) {
    nlohmann::json payload =
        point->payload.empty() ? nlohmann::json::object() : nlohmann::json::parse(point->payload);
    payload["edits"].push_back(1);
    point->payload = payload.dump();
    return absl::OkStatus();
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

TEST_F(IdempotentWriteTest, ARepeatedEditIsDoneOnce) {
  const WriteOptions by_id = {Durability::kAsync, "by id", 1};
  const WriteOptions by_filter = {Durability::kAsync, "by filter", 2};
  ASSERT_TRUE(Upsert(1, 1, "").ok());
  for (int i = 0; i < 2; ++i) {
    ExpectResult(engine_->EditPoints("c", {PointId(uint64_t{1})}, Append, by_id), 1, 2);
    // A write, and the record of what was done in all.
    ExpectResult(engine_->EditByFilter("c", WithId(1), Append, by_filter), 1, 4);
    EXPECT_EQ(PayloadOf(1), R"({"edits":[1,1]})");
    Reopen();
  }
  for (const auto& result :
       {engine_->EditPoints("c", {PointId(uint64_t{1})}, Append, {.request_id = "by id"}),
        engine_->EditByFilter("c", WithId(1), Append, {Durability::kSync, "by filter", 3}),
        engine_->DeleteByFilter("c", WithId(1), {Durability::kSync, "by id", 2}),
        Upsert(1, 1, "by id")}) {
    EXPECT_THAT(std::string(result.status().message()), testing::HasSubstr("another request"));
  }
  const WriteOptions too_long = {.request_id = std::string(limits::kRequestIdBytesMax + 1, 'x')};
  EXPECT_EQ(engine_->DeleteByFilter("c", WithId(1), too_long).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PayloadOf(1), R"({"edits":[1,1]})");
  EXPECT_EQ(Sequence(), 4u);
}

TEST_F(IdempotentWriteTest, AnAnswerOfNothingIsRememberedToo) {
  const auto edit = [this] {
    return engine_->EditPoints("c", {PointId(uint64_t{1})}, Append, {.request_id = "edit"});
  };
  const auto remove = [this] {
    return engine_->DeleteByFilter("c", WithId(1), {.request_id = "delete"});
  };
  ExpectResult(edit(), 0, 1);
  ExpectResult(remove(), 0, 2);
  ASSERT_TRUE(Upsert(1, 1, "").ok());
  ExpectResult(edit(), 0, 1);
  ExpectResult(remove(), 0, 2);
  EXPECT_EQ(PayloadOf(1), "") << "a repeated request found a point that came after it";
}

TEST_F(IdempotentWriteTest, ARepeatedUpdateOfVectorsLeavesWhatCameAfterIt) {
  ASSERT_TRUE(Upsert(1, 1, "").ok());
  const Matrix other = ClusteredRows(1, 4, 5);
  const auto update = [&] {
    return engine_->UpdateVectors("c", {PointId(uint64_t{1})}, FloatView(other),
                                  {.request_id = "move"});
  };
  ExpectResult(update(), 1, 2);
  ASSERT_TRUE(Upsert(1, 3, "").ok());
  ExpectResult(update(), 1, 2);
  Matrix row(1, 4);
  std::fill_n(row.data(), 4, 3.0f);
  EXPECT_EQ(Search("c", row, 1).hits[0][0].score, 0);
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
    auto it = store_->Scan(Family::kMeta, range.begin, range.end, false);
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
