// Writes that depend on what is there, and the searches beside Search.
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "index/base/limits.h"
#include "server/filter/payload_edit.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/store_wrapper.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 8;

class SyncCounter : public StoreWrapper {
 public:
  SyncCounter(std::unique_ptr<Store> store, std::atomic<size_t>& syncs)
      : StoreWrapper(std::move(store)), syncs_(syncs) {}

  absl::Status Sync() override {
    ++syncs_;
    return StoreWrapper::Sync();
  }

 private:
  std::atomic<size_t>& syncs_;
};

class EngineEdit : public EngineFixture {
 protected:
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<SyncCounter>(std::move(store), syncs_);
  }
  void Fill(uint64_t points) {
    Create("c", kDimension);
    UpsertBatch batch;
    rows_ = ClusteredRows(points, kDimension, 1);
    for (uint64_t id = 0; id < points; ++id) {
      batch.ids.push_back(PointId(id));
      batch.payloads.push_back(nlohmann::json{{"n", id}, {"color", Color(id)}}.dump());
    }
    batch.vectors = FloatView(rows_);
    ASSERT_TRUE(engine_->Upsert("c", batch).ok());
    auto operation =
        Await(engine_->CreatePayloadIndex("c", {FieldPath("color"), PayloadIndexType::kKeyword}));
    ASSERT_EQ(operation->state, OperationState::kSucceeded);
  }
  static std::string Color(uint64_t id) {
    return id % 4 == 0 ? "red" : id % 4 == 1 ? "green" : "blue";
  }
  std::string PayloadOf(uint64_t id) {
    ElementType type;
    const auto points =
        engine_->GetPoints("c", {PointId(id)}, {.payload = {.enabled = true}}, &type);
    return points.ok() && points->size() == 1 ? (*points)[0].payload : "missing";
  }
  static Filter Red() { return Must(Where("color", Keywords({"red"}))); }
  absl::StatusOr<WriteResult> Put(const std::vector<uint64_t>& ids, WriteCondition condition) {
    const Matrix rows = ClusteredRows(ids.size(), kDimension, 9);
    UpsertBatch batch;
    for (uint64_t id : ids) batch.ids.push_back(PointId(id));
    batch.vectors = FloatView(rows);
    batch.condition = condition;
    return engine_->Upsert("c", batch);
  }

  std::atomic<size_t> syncs_{0};
  Matrix rows_;
};

TEST_F(EngineEdit, WritesWholeRequestsOnlyIfTheirConditionHolds) {
  Fill(10);
  EXPECT_EQ(GetStatusDetails(Put({11, 3}, WriteCondition::kInsertOnly).status()).reason,
            "POINT_EXISTS");
  EXPECT_TRUE(absl::IsNotFound(Put({3, 12}, WriteCondition::kUpdateOnly).status()));
  EXPECT_EQ(*engine_->CountPoints("c", {}), 10u);
  EXPECT_NE(PayloadOf(3), "") << "a refused write changes nothing";
  EXPECT_TRUE(Put({11, 12}, WriteCondition::kInsertOnly).ok());
  EXPECT_TRUE(Put({3, 12}, WriteCondition::kUpdateOnly).ok());
  EXPECT_EQ(PayloadOf(3), "");
  EXPECT_EQ(*engine_->CountPoints("c", {}), 12u);
}

TEST_F(EngineEdit, EditsPayloadsAndVectorsAndFollowsWithTheIndexes) {
  Fill(100);
  const auto turn_red = [](size_t, PointData* point) {
    point->payload = MergePayload(point->payload, R"({"color":"red"})");
    return absl::OkStatus();
  };
  const auto edited =
      engine_->EditPoints("c", {PointId(uint64_t{1}), PointId(uint64_t{999})}, turn_red, {});
  ASSERT_TRUE(edited.ok()) << edited.status();
  EXPECT_EQ(edited->points, 1u);
  EXPECT_EQ(PayloadOf(1), R"({"color":"red","n":1})");
  EXPECT_EQ(*engine_->CountPoints("c", Red()), 26u);

  const Matrix other = ClusteredRows(1, kDimension, 5);
  ASSERT_TRUE(engine_->UpdateVectors("c", {PointId(uint64_t{1})}, FloatView(other), {}).ok());
  EXPECT_EQ(PayloadOf(1), R"({"color":"red","n":1})");
  const SearchResult found = Search("c", other, 1);
  EXPECT_EQ(Ids(found.hits[0]), std::vector<uint64_t>{1});
  EXPECT_EQ(found.hits[0][0].score, 0);

  EXPECT_EQ(engine_->DeleteByFilter("c", Red(), {})->points, 26u);
  EXPECT_EQ(*engine_->CountPoints("c", Red()), 0u);
  EXPECT_EQ(*engine_->CountPoints("c", {}), 74u);
  EXPECT_EQ(GetStatusDetails(engine_->DeleteByFilter("c", {}, {}).status()).field, "filter");
}

TEST_F(EngineEdit, EditsByFilterOnlyWhatStillMatches) {
  Fill(3000);
  const auto paint = [](size_t, PointData* point) {
    point->payload = MergePayload(point->payload, R"({"color":"white"})");
    return absl::OkStatus();
  };
  // While the first batch is edited, points of the next ones change their colour and are deleted.
  bool meanwhile = false;
  const auto mark = [&](size_t, PointData* point) {
    if (!std::exchange(meanwhile, true)) {
      EXPECT_TRUE(engine_->EditPoints("c", {PointId(uint64_t{2999})}, paint, {}).ok());
      EXPECT_TRUE(engine_->DeletePoints("c", {PointId(uint64_t{2998})}, {}).ok());
    }
    point->payload = MergePayload(point->payload, R"({"marked":true})");
    return absl::OkStatus();
  };
  const auto edited =
      engine_->EditByFilter("c", Must(Where("color", Keywords({"blue"}))), mark, {});
  ASSERT_TRUE(edited.ok()) << edited.status();
  EXPECT_EQ(edited->points, 1498u);
  EXPECT_EQ(PayloadOf(2999), R"({"color":"white","n":2999})");
  EXPECT_EQ(PayloadOf(2998), "missing");
  EXPECT_EQ(PayloadOf(2995), R"({"color":"blue","n":2995,"marked":true})");
}

TEST_F(EngineEdit, LosesNoEditOfMany) {
  Fill(4);
  const auto count_up = [](size_t, PointData* point) {
    nlohmann::json payload = nlohmann::json::parse(point->payload);
    payload["edits"] = payload.value("edits", 0) + 1;
    point->payload = payload.dump();
    return absl::OkStatus();
  };
  std::vector<std::thread> editors;
  for (int t = 0; t < 4; ++t) {
    editors.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        EXPECT_TRUE(
            engine_->EditPoints("c", {PointId(uint64_t{0}), PointId(uint64_t{2})}, count_up, {})
                .ok());
      }
    });
  }
  for (std::thread& editor : editors) editor.join();
  EXPECT_EQ(nlohmann::json::parse(PayloadOf(0))["edits"], 100);
  EXPECT_EQ(nlohmann::json::parse(PayloadOf(2))["edits"], 100);
}

TEST_F(EngineEdit, PagesThroughWhatMatchesWhileOthersWrite) {
  Fill(2000);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    // Rewrites some that match, which must still come once each.
    for (uint64_t i = 0; !stop; ++i) {
      const auto same = [](size_t, PointData*) { return absl::OkStatus(); };
      EXPECT_TRUE(engine_->EditPoints("c", {PointId(i * 4 % 2000)}, same, {}).ok());
    }
  });
  std::vector<uint64_t> ids;
  std::string token;
  do {
    ElementType type;
    auto page = engine_->ScrollPoints("c", 7, token, Red(), {}, &type);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const PointData& point : page->points) ids.push_back(std::get<uint64_t>(point.id));
    token = page->next_page_token;
  } while (!token.empty());
  stop = true;
  writer.join();
  std::vector<uint64_t> expected;
  for (uint64_t id = 0; id < 2000; id += 4) expected.push_back(id);
  EXPECT_EQ(ids, expected);
}

TEST_F(EngineEdit, CountsValuesWithAndWithoutIndex) {
  Fill(100);
  for (const char* key : {"color", "n"}) {
    FacetRequest request;
    request.collection = "c";
    request.key = FieldPath(key);
    request.filter = Must(Where("n", NumberRange{{.lt = 50}}));
    request.limit = 3;
    const auto result = engine_->Facet(request);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->indexed, request.key.text() == "color");
    ASSERT_EQ(result->counts.size(), 3u);
    const uint64_t most = result->counts[0].points;
    EXPECT_EQ(most, result->indexed ? 24u : 1u);
    EXPECT_EQ(result->counts[0].value,
              result->indexed ? FacetValue("blue") : FacetValue(int64_t{0}));
  }
}

TEST_F(EngineEdit, FindsTheBestGroups) {
  Fill(300);
  const Matrix query = ClusteredRows(1, kDimension, 6);
  GroupsRequest request;
  request.search.collection = "c";
  request.search.vectors = FloatView(query);
  request.search.limit = 3;
  request.group_by = FieldPath("color");
  request.group_size = 5;
  const auto result = engine_->SearchGroups(request);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->groups.size(), 3u);
  float last = -1;
  for (const HitGroup& group : result->groups) {
    EXPECT_GT(group.hits[0].score, last) << "the group with the nearest hit first";
    last = group.hits[0].score;
    SearchRequest alone = request.search;
    alone.limit = 5;
    alone.filter = Must(Where("color", Keywords({std::get<std::string>(group.value)})));
    EXPECT_EQ(Ids(group.hits), Ids(engine_->Search(alone)->hits[0]));
  }
}

// What it finds done may be in the log alone.
TEST_F(EngineEdit, AWriteThatFindsNothingToDoIsSyncedIfItAsksForThat) {
  Fill(100);
  const auto edit = [this](Durability durability) {
    const size_t before = syncs_;
    const auto deleted = engine_->DeleteByFilter("c", Red(), {.durability = durability});
    EXPECT_TRUE(deleted.ok()) << deleted.status();
    EXPECT_EQ(deleted->points, 0u);
    const PointEdit clear = [](uint64_t, PointData* point) {
      point->payload.clear();
      return absl::OkStatus();
    };
    EXPECT_TRUE(engine_->EditByFilter("c", Red(), clear, {.durability = durability}).ok());
    return syncs_ - before;
  };
  ASSERT_TRUE(engine_->DeleteByFilter("c", Red(), {.durability = Durability::kAsync}).ok());
  EXPECT_EQ(edit(Durability::kSync), 2u);
  EXPECT_EQ(edit(Durability::kAsync), 0u);
}

TEST_F(EngineEdit, RecommendsNearThePositiveAndNeverTheExamples) {
  Fill(300);
  SearchRequest request;
  request.collection = "c";
  request.positive = {PointId(uint64_t{3}), PointId(uint64_t{8})};
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kSlow);  // examples are read from the store
  request.negative = {PointId(uint64_t{20})};
  request.limit = 10;
  const auto result = engine_->Search(request);
  ASSERT_TRUE(result.ok()) << result.status();
  Matrix query(1, kDimension);
  for (size_t j = 0; j < kDimension; ++j) {
    query.row(0)[j] = rows_.row(3)[j] + rows_.row(8)[j] - rows_.row(20)[j];
  }
  std::vector<uint64_t> expected;
  for (uint64_t id : Ids(Search("c", query, 13).hits[0])) {
    if (id != 3 && id != 8 && id != 20 && expected.size() < 10) expected.push_back(id);
  }
  EXPECT_EQ(Ids(result->hits[0]), expected);
  request.positive.clear();
  EXPECT_EQ(GetStatusDetails(engine_->Search(request).status()).field, "recommend.positive");
}

TEST_F(EngineEdit, CutsHitsByOffsetAndScore) {
  Fill(300);
  const Matrix query = ClusteredRows(1, kDimension, 6);
  const SearchResult all = Search("c", query, 20);
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(query);
  request.offset = 5;
  request.limit = 10;
  request.explain = true;
  const auto page = engine_->Search(request);
  const std::vector<uint64_t> ids = Ids(all.hits[0]);
  EXPECT_EQ(Ids(page->hits[0]), std::vector<uint64_t>(ids.begin() + 5, ids.begin() + 15));
  EXPECT_TRUE(page->report.explained);
  EXPECT_EQ(page->report.candidates_reranked, 300u);
  request.offset = 0;
  request.score_threshold = all.hits[0][7].score;
  EXPECT_EQ(Ids(engine_->Search(request)->hits[0]),
            std::vector<uint64_t>(ids.begin(), ids.begin() + 8));
  request.offset = limits::kSearchLimitMax;
  EXPECT_EQ(GetStatusDetails(engine_->Search(request).status()).field, "offset");
}

}  // namespace
}  // namespace tessera
