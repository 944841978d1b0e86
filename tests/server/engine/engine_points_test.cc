#include <cmath>
#include <limits>
#include <thread>

#include "index/base/limits.h"
#include "server/engine/records.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EnginePoints : public EngineFixture {};

Matrix Row(std::initializer_list<float> values) {
  Matrix matrix(1, values.size());
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

TEST_F(EnginePoints, CreatedCollectionHasItsDefaultsFilledIn) {
  Create("c", 128);
  auto info = engine_->GetCollection("c");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->state, CollectionState::kUntrained);
  EXPECT_EQ(info->spec.index.subquantizers, 0u) << "chosen at training";
  EXPECT_GT(info->spec.index.nbits, 0u);
  EXPECT_GT(info->spec.index.iterations, 0u);
  EXPECT_EQ(info->points, 0u);
}

TEST_F(EnginePoints, BadCollectionsAreRefusedByField) {
  const auto field_of = [this](CollectionSpec spec) {
    return GetStatusDetails(engine_->CreateCollection(spec).status()).field;
  };
  CollectionSpec good;
  good.name = "c";
  good.dimension = 4;
  CollectionSpec bad = good;
  bad.name = "../x";
  EXPECT_EQ(field_of(bad), "collection_name");
  bad = good;
  bad.name = "";
  EXPECT_EQ(field_of(bad), "collection_name");
  bad = good;
  bad.dimension = limits::kDimensionMax + 1;
  EXPECT_EQ(field_of(bad), "dimension");
  bad = good;
  bad.index.nbits = 5;
  EXPECT_EQ(field_of(bad), "index.nbits");
  bad = good;
  bad.index.subquantizers = 5;
  EXPECT_EQ(field_of(bad), "index.subquantizers");
  EXPECT_TRUE(engine_->ListCollections("", 10).empty());
  ASSERT_TRUE(engine_->CreateCollection(good).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(engine_->CreateCollection(good).status()));
}

TEST_F(EnginePoints, UpsertReplacesAndDeleteRemoves) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 1, Row({1, 0}), R"({"v":1})").ok());
  ASSERT_TRUE(UpsertRows("c", 2, Row({5, 0})).ok());
  ASSERT_TRUE(UpsertRows("c", 1, Row({9, 0}), R"({"v":2})").ok());
  EXPECT_EQ(*engine_->CountPoints("c", {}), 2u);
  EXPECT_THAT(Ids(Search("c", Row({1, 0}), 5).hits[0]), ElementsAre(2, 1));

  ElementType type;
  auto points = engine_->GetPoints("c", {PointId(uint64_t{1}), PointId(uint64_t{77})},
                                   {.payload = {.enabled = true}, .vector = true}, &type);
  ASSERT_TRUE(points.ok());
  ASSERT_EQ(points->size(), 1u);
  EXPECT_EQ((*points)[0].payload, R"({"v":2})");

  auto deleted = engine_->DeletePoints("c", {PointId(uint64_t{1}), PointId(uint64_t{77})}, {});
  ASSERT_TRUE(deleted.ok());
  EXPECT_EQ(deleted->points, 1u);
  EXPECT_THAT(Ids(Search("c", Row({1, 0}), 5).hits[0]), ElementsAre(2));
  Reopen();
  EXPECT_EQ(*engine_->CountPoints("c", {}), 1u);
  EXPECT_THAT(Ids(Search("c", Row({1, 0}), 5).hits[0]), ElementsAre(2));
}

TEST_F(EnginePoints, AnIdThatADeleteRepeatsCountsOnce) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 0, Matrix(3, 2)).ok());
  const PointId one(uint64_t{1});
  EXPECT_EQ(engine_->DeletePoints("c", {one, one, one}, {})->points, 1u);
  EXPECT_EQ(*engine_->CountPoints("c", {}), 2u);
}

TEST_F(EnginePoints, RecordsOfUnknownCollectionsAreSweptAway) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 0, Matrix(3, 2)).ok());
  auto batch = store_->NewBatch();
  batch->Put(Family::kCodes, CodeKey(77, 1, 0, 5), "left over");
  batch->Put(Family::kPoints, PointKey(0, 5), "left over");
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  Reopen();
  EXPECT_FALSE(store_->Get(Family::kCodes, CodeKey(77, 1, 0, 5))->has_value());
  EXPECT_FALSE(store_->Get(Family::kPoints, PointKey(0, 5))->has_value());
  EXPECT_EQ(*engine_->CountPoints("c", {}), 3u);
}

TEST_F(EnginePoints, NumbersAndStringsAreDifferentIds) {
  Create("c", 1);
  UpsertBatch batch;
  batch.ids = {PointId(uint64_t{7}), PointId(std::string("7")), PointId(std::string("a"))};
  Matrix rows(3, 1);
  rows.data()[1] = 1;
  rows.data()[2] = 2;
  batch.vectors = FloatView(rows);
  ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  Reopen();
  ElementType type;
  auto page = engine_->ScrollPoints("c", 2, "", {}, {}, &type);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->points.size(), 2u);
  EXPECT_EQ(page->points[0].id, PointId(uint64_t{7}));
  EXPECT_EQ(page->points[1].id, PointId(std::string("7")));
  auto last = engine_->ScrollPoints("c", 2, page->next_page_token, {}, {}, &type);
  ASSERT_TRUE(last.ok());
  ASSERT_EQ(last->points.size(), 1u);
  EXPECT_EQ(last->points[0].id, PointId(std::string("a")));
  EXPECT_TRUE(last->next_page_token.empty());
}

TEST_F(EnginePoints, PageTokensOfOtherCollectionsAndDamagedOnesAreRefused) {
  Create("a", 1);
  Create("b", 1);
  ASSERT_TRUE(UpsertRows("a", 0, Matrix(5, 1)).ok());
  ElementType type;
  const std::string token = engine_->ScrollPoints("a", 2, "", {}, {}, &type)->next_page_token;
  EXPECT_EQ(GetStatusDetails(engine_->ScrollPoints("b", 2, token, {}, {}, &type).status()).field,
            "page_token");
  const Filter filter = {.must_not = {{HasId{{FilterId(uint64_t{9})}}}}};
  EXPECT_EQ(
      GetStatusDetails(engine_->ScrollPoints("a", 2, token, filter, {}, &type).status()).field,
      "page_token");
  const std::string filtered =
      engine_->ScrollPoints("a", 2, "", filter, {}, &type)->next_page_token;
  EXPECT_EQ(engine_->ScrollPoints("a", 2, filtered, filter, {}, &type)->points.size(), 2u);
  EXPECT_EQ(GetStatusDetails(engine_->ScrollPoints("a", 2, filtered, {}, {}, &type).status()).field,
            "page_token");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string damaged = token;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    auto page = engine_->ScrollPoints("a", 2, damaged, {}, {}, &type);
    // The last character of base64 may carry bits that mean nothing.
    EXPECT_TRUE(!page.ok() || i == token.size() - 1);
  }
}

TEST_F(EnginePoints, BadWritesAreRefusedByFieldAndChangeNothing) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 1, Row({1, 2})).ok());
  const auto refused = [this](const UpsertBatch& batch) {
    auto result = engine_->Upsert("c", batch);
    EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
    return GetStatusDetails(result.status()).field;
  };
  const Matrix two = Row({1, 2});
  const Matrix three = Row({1, 2, 3});
  UpsertBatch batch;
  batch.vectors = FloatView(two);
  EXPECT_EQ(refused(batch), "ids");
  batch.ids = {PointId(uint64_t{5})};
  batch.vectors = FloatView(three);
  EXPECT_EQ(refused(batch), "vectors");
  const Matrix nan = Row({1, std::numeric_limits<float>::quiet_NaN()});
  batch.vectors = FloatView(nan);
  EXPECT_EQ(refused(batch), "vectors");
  const Matrix infinite = Row({std::numeric_limits<float>::infinity(), 0});
  batch.vectors = FloatView(infinite);
  EXPECT_EQ(refused(batch), "vectors");
  const Matrix large = Row({1.1e15f, 0});
  batch.vectors = FloatView(large);
  EXPECT_EQ(refused(batch), "vectors");
  batch.vectors = FloatView(two);
  batch.payloads = {"[1]"};
  EXPECT_EQ(refused(batch), "payloads[0]");
  batch.payloads = {"", ""};
  EXPECT_EQ(refused(batch), "payloads");
  batch.payloads.clear();
  batch.ids = {PointId(std::string(limits::kStringIdBytesMax + 1, 'x'))};
  EXPECT_EQ(refused(batch), "ids.str[0]");
  const Matrix rows(2, 2);
  batch.ids = {PointId(uint64_t{5}), PointId(uint64_t{5})};
  batch.vectors = FloatView(rows);
  EXPECT_EQ(refused(batch), "ids");
  EXPECT_EQ(engine_->GetCollection("c")->sequence, 1u);
  EXPECT_EQ(*engine_->CountPoints("c", {}), 1u);
  EXPECT_TRUE(absl::IsNotFound(engine_->Upsert("nope", batch).status()));
}

TEST_F(EnginePoints, BytesThatDoNotFitTheElementTypeAreRefused) {
  Create("c", 2, Metric::kL2, ElementType::kUint8);
  EXPECT_THAT(std::string(UpsertRows("c", 1, Row({1, 256})).status().message()),
              HasSubstr("component 1 is 256"));
  EXPECT_FALSE(UpsertRows("c", 1, Row({1.5, 2})).ok());
  EXPECT_TRUE(UpsertRows("c", 1, Row({255, 0})).ok());
}

TEST_F(EnginePoints, WritersOfTheSameIdsLeaveOnePointEach) {
  Create("c", 2);
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([this, w] {
      for (int round = 0; round < 30; ++round) {
        Matrix rows(10, 2);
        for (int i = 0; i < 10; ++i) rows.row(i)[0] = static_cast<float>(w);
        ASSERT_TRUE(UpsertRows("c", 0, rows).ok());
        ASSERT_TRUE(engine_->DeletePoints("c", {PointId(uint64_t{3})}, {}).ok());
      }
    });
  }
  for (auto& writer : writers) writer.join();
  ASSERT_TRUE(UpsertRows("c", 3, Row({0, 0})).ok());
  EXPECT_EQ(*engine_->CountPoints("c", {}), 10u);
  EXPECT_EQ(Search("c", Row({0, 0}), 100).hits[0].size(), 10u);
  Reopen();
  EXPECT_EQ(*engine_->CountPoints("c", {}), 10u);
  EXPECT_EQ(Search("c", Row({0, 0}), 100).hits[0].size(), 10u);
}

TEST_F(EnginePoints, DeletedCollectionIsGoneAndItsNameFree) {
  Create("c", 2);
  ASSERT_TRUE(UpsertRows("c", 1, Row({1, 2})).ok());
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  EXPECT_TRUE(absl::IsNotFound(engine_->DeleteCollection("c")));
  EXPECT_TRUE(absl::IsNotFound(engine_->CountPoints("c", {}).status()));
  Create("c", 3);
  EXPECT_EQ(*engine_->CountPoints("c", {}), 0u);
  Reopen();
  EXPECT_EQ(engine_->GetCollection("c")->spec.dimension, 3u);
  EXPECT_EQ(*engine_->CountPoints("c", {}), 0u);
}

}  // namespace
}  // namespace tessera
