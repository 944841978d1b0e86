// Estimates of how many points match: what they claim is so, and they are near.
#include <nlohmann/json.hpp>

#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 4;
constexpr uint64_t kPoints = 6'000;

class EngineCountTest : public EngineFixture {
 protected:
  // Of each point, `tens` has an index and `quarters` has none.
  void SetUp() override {
    EngineFixture::SetUp();
    Create("c", kDimension);
    UpsertBatch batch;
    for (uint64_t id = 0; id < kPoints; ++id) {
      batch.ids.push_back(PointId(id));
      batch.payloads.push_back(
          nlohmann::json{{"tens", id % 10}, {"quarters", (id / 10) % 4}}.dump());
    }
    const Matrix rows = ClusteredRows(kPoints, kDimension, 1);
    batch.vectors = FloatView(rows);
    ASSERT_TRUE(engine_->Upsert("c", batch).ok());
    const auto operation =
        Await(engine_->CreatePayloadIndex("c", {FieldPath("tens"), PayloadIndexType::kInteger}));
    ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  }

  PointsCount Estimate(const Filter& filter) {
    const auto count = engine_->EstimatePoints("c", filter);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(PointsCount());
  }
  void ExpectExact(const Filter& filter, uint64_t points) {
    const PointsCount count = Estimate(filter);
    EXPECT_TRUE(count.exact);
    EXPECT_EQ(count.points, points);
    EXPECT_EQ(count.points_min, points);
    EXPECT_EQ(count.points_max, points);
  }
  // Within 5 points of a hundred: three times what chance does to a sample of a thousand.
  void ExpectNear(const Filter& filter, uint64_t points, uint64_t min, uint64_t max) {
    const PointsCount count = Estimate(filter);
    EXPECT_FALSE(count.exact);
    EXPECT_EQ(count.points_min, min);
    EXPECT_EQ(count.points_max, max);
    EXPECT_NEAR(static_cast<double>(count.points), static_cast<double>(points), 0.05 * kPoints);
    EXPECT_GE(count.points, min);
    EXPECT_LE(count.points, max);
  }
};

TEST_F(EngineCountTest, WhatIndexesDecideIsExact) {
  ExpectExact({}, kPoints);
  ExpectExact(Must(Where("tens", Integers({3}))), kPoints / 10);
  ASSERT_TRUE(engine_->DeletePoints("c", {PointId(uint64_t{3}), PointId(uint64_t{4})}, {}).ok());
  ExpectExact({}, kPoints - 2);
  ExpectExact(Must(Where("tens", Integers({3}))), kPoints / 10 - 1);
}

TEST_F(EngineCountTest, FewThatAreOpenAreCounted) {
  Filter filter = Must(Where("tens", Integers({3})));
  filter.must.push_back(Where("quarters", Integers({1})));
  ExpectExact(filter, kPoints / 40);
}

TEST_F(EngineCountTest, ManyThatAreOpenAreSampled) {
  ExpectNear(Must(Where("quarters", Integers({1}))), kPoints / 4, 0, kPoints);
  Filter either;
  either.should = {Where("tens", Integers({3})), Where("quarters", Integers({1}))};
  ExpectNear(either, kPoints / 10 + kPoints * 9 / 40, kPoints / 10, kPoints);
  Filter neither;
  neither.must_not = either.should;
  ExpectNear(neither, kPoints - kPoints / 10 - kPoints * 9 / 40, 0, kPoints * 9 / 10);
}

TEST_F(EngineCountTest, WhatHasBeenCountedIsKnown) {
  const Filter filter = Must(Where("quarters", Integers({1})));
  EXPECT_EQ(engine_->CountPoints("c", filter).value(), kPoints / 4);
  ExpectExact(filter, kPoints / 4);
  ASSERT_TRUE(engine_->DeletePoints("c", {PointId(uint64_t{10})}, {}).ok());
  ExpectNear(filter, kPoints / 4 - 1, 0, kPoints - 1);
}

}  // namespace
}  // namespace tessera
