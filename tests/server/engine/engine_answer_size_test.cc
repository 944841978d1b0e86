// Requests whose answers, or whose writes, would be far larger than what asks for them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/answer_room.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr size_t kDimension = 2;
constexpr size_t kTextBytes = 60'000;
// A few more than an answer has room for.
constexpr size_t kPoints = limits::kMessageBytesMax / kTextBytes + 50;
constexpr size_t kFitting = limits::kMessageBytesMax / kTextBytes - 50;

class EngineAnswerSize : public EngineFixture {
 protected:
  // Points on a line, from 0 on, with long texts, in groups of two by "pair" and all in "all".
  void SetUp() override {
    EngineFixture::SetUp();
    Create("c", kDimension);
    const std::string text(kTextBytes, 'x');
    constexpr size_t kAtOnce = 256;
    for (size_t begin = 0; begin < kPoints; begin += kAtOnce) {
      const size_t n = std::min(kAtOnce, kPoints - begin);
      Matrix rows(n, kDimension);
      UpsertBatch batch;
      for (size_t i = 0; i < n; ++i) {
        rows.row(i)[0] = static_cast<float>(begin + i);
        batch.ids.push_back(PointId(uint64_t{begin + i}));
        batch.payloads.push_back(absl::StrCat(
            R"({"pair":)", (begin + i) / 2, R"(,"all":["a","b"],)", R"("text":")", text, R"("})"));
      }
      batch.vectors = FloatView(rows);
      ASSERT_TRUE(engine_->Upsert("c", batch).ok());
    }
  }

  static std::vector<PointId> FirstIds(size_t n) {
    std::vector<PointId> ids;
    for (uint64_t id = 0; id < n; ++id) ids.push_back(PointId(id));
    return ids;
  }
  // The nearest to 0.
  SearchRequest Nearest(size_t limit) const {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(query_);
    request.limit = limit;
    request.fields.payload.enabled = true;
    return request;
  }
  GroupsRequest NearestGroups(const std::string& key, size_t groups, size_t group_size) const {
    GroupsRequest request;
    request.search = Nearest(groups);
    request.group_by = FieldPath(key);
    request.group_size = group_size;
    return request;
  }
  static void ExpectTooLarge(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(GetStatusDetails(status).reason, "RESPONSE_TOO_LARGE");
    EXPECT_THAT(std::string(status.message()), HasSubstr("ask for less at once"));
  }

  const Matrix query_ = Matrix(1, kDimension);
  const PointFields payloads_ = {.payload = {.enabled = true}};
};

TEST_F(EngineAnswerSize, ReadsNoMoreThanAnAnswerHolds) {
  ElementType type;
  EXPECT_EQ(engine_->GetPoints("c", FirstIds(kFitting), payloads_, &type)->size(), kFitting);
  ExpectTooLarge(engine_->GetPoints("c", FirstIds(kPoints), payloads_, &type).status());
  EXPECT_EQ(engine_->GetPoints("c", FirstIds(kPoints), {}, &type)->size(), kPoints);

  EXPECT_EQ(engine_->ScrollPoints("c", kFitting, "", {}, payloads_, &type)->points.size(),
            kFitting);
  ExpectTooLarge(engine_->ScrollPoints("c", kPoints, "", {}, payloads_, &type).status());

  Index("pair", PayloadIndexType::kInteger);
  const ScrollOrder order{.key = FieldPath("pair")};
  EXPECT_EQ(engine_->ScrollInOrder("c", order, kFitting, "", {}, payloads_, &type)->points.size(),
            kFitting);
  ExpectTooLarge(engine_->ScrollInOrder("c", order, kPoints, "", {}, payloads_, &type).status());
}

TEST_F(EngineAnswerSize, FindsNoMoreThanAnAnswerHolds) {
  EXPECT_EQ(engine_->Search(Nearest(kFitting))->hits[0].size(), kFitting);
  ExpectTooLarge(engine_->Search(Nearest(kPoints)).status());

  RangeRequest range;
  range.collection = "c";
  range.vector = FloatView(query_);
  range.radius = 1e9f;
  range.fields = payloads_;
  range.page_size = kFitting;
  EXPECT_EQ(engine_->SearchRange(range)->hits.size(), kFitting);
  range.page_size = kPoints;
  ExpectTooLarge(engine_->SearchRange(range).status());
}

TEST_F(EngineAnswerSize, SearchesOfOneAnswerShareItsRoom) {
  std::vector<SearchRequest> searches(2, Nearest(kFitting));
  for (const auto& result : engine_->SearchEach(searches)) EXPECT_TRUE(result.ok());
  AnswerRoom room;
  for (SearchRequest& search : searches) search.fields.room = &room;
  const auto results = engine_->SearchEach(searches);
  EXPECT_FALSE(results[0].ok() && results[1].ok());
  for (const auto& result : results) {
    if (!result.ok()) ExpectTooLarge(result.status());
  }
}

// What groups are made of is more than an answer holds, what is asked for is not.
TEST_F(EngineAnswerSize, GroupsReadThePayloadsThatTheyAnswerWith) {
  const auto pairs = engine_->SearchGroups(NearestGroups("pair", kFitting / 2, 2));
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  ASSERT_EQ(pairs->groups.size(), kFitting / 2);
  EXPECT_EQ(Ids(pairs->groups[3].hits), (std::vector<uint64_t>{6, 7}));
  EXPECT_THAT(pairs->groups[3].hits[1].payload, HasSubstr(R"("pair":3,)"));
  EXPECT_GT(pairs->groups[3].hits[1].payload.size(), kTextBytes);
  ExpectTooLarge(engine_->SearchGroups(NearestGroups("pair", kPoints / 2, 2)).status());

  GroupsRequest without = NearestGroups("pair", kPoints / 2, 2);
  without.search.fields = {.vector = true};
  const auto vectors = engine_->SearchGroups(without);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  EXPECT_EQ(vectors->groups.size(), kPoints / 2);
  EXPECT_EQ(vectors->groups[3].hits[1].payload, "");
  EXPECT_EQ(vectors->groups[3].hits[1].vector.size(), kDimension * sizeof(float));

  const auto all = engine_->SearchGroups(NearestGroups("all", 2, 100));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->groups.size(), 2u);
  EXPECT_EQ(Ids(all->groups[0].hits), Ids(all->groups[1].hits));
}

TEST_F(EngineAnswerSize, EditsByIdsAreBounded) {
  const size_t too_many = limits::kEditBytesMax / kTextBytes + 1;
  const Matrix rows(too_many, kDimension);
  ASSERT_TRUE(UpsertRows("c", kPoints, rows).ok());
  std::vector<PointId> ids;
  for (size_t i = 0; i < too_many; ++i) ids.push_back(PointId(uint64_t{kPoints + i}));
  const std::string payload = absl::StrCat(R"({"text":")", std::string(kTextBytes, 'y'), R"("})");
  const PointEdit overwrite = [&](size_t, PointData* point) {
    point->payload = payload;
    return absl::OkStatus();
  };
  const auto refused = engine_->EditPoints("c", ids, overwrite, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetStatusDetails(refused.status()).field, "ids");
  ElementType type;
  for (const PointData& point : *engine_->GetPoints("c", ids, payloads_, &type)) {
    ASSERT_EQ(point.payload, "") << "nothing has changed";
  }
  ids.resize(10);
  EXPECT_EQ(engine_->EditPoints("c", ids, overwrite, {})->points, 10u);
  EXPECT_EQ(engine_->GetPoints("c", ids, payloads_, &type)->at(9).payload, payload);
}

}  // namespace
}  // namespace tessera
