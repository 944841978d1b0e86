// Groups of the nearest points by a value of their payloads, where few points make up a group.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "server/engine/facet_values.h"
#include "server/filter/evaluate.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 2;

class EngineGroupsTest : public EngineFixture {
 protected:
  // Points on a line, from 0 on, with these payloads.
  void Fill(const std::vector<std::string>& payloads) {
    Create("c", kDimension);
    UpsertBatch batch;
    Matrix rows(payloads.size(), kDimension);
    for (size_t i = 0; i < payloads.size(); ++i) {
      batch.ids.push_back(PointId(uint64_t{i}));
      rows.row(i)[0] = static_cast<float>(i);
    }
    batch.payloads = payloads;
    batch.vectors = FloatView(rows);
    ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  }
  // The groups nearest to 0, as text: value: ids.
  std::vector<std::string> Nearest(size_t groups, size_t group_size, bool exact) {
    const Matrix query(1, kDimension);
    GroupsRequest request;
    request.search.collection = "c";
    request.search.vectors = FloatView(query);
    request.search.limit = groups;
    request.search.exact = exact;
    request.group_by = FieldPath("g");
    request.group_size = group_size;
    request.search.explain = true;
    const auto result = engine_->SearchGroups(request);
    EXPECT_TRUE(result.ok()) << result.status();
    std::vector<std::string> texts;
    if (!result.ok()) return texts;
    report_ = result->report;
    for (const HitGroup& group : result->groups) {
      std::string& text = texts.emplace_back();
      if (const auto* keyword = std::get_if<std::string>(&group.value)) text = *keyword;
      if (const auto* integer = std::get_if<int64_t>(&group.value)) text = absl::StrCat(*integer);
      if (const auto* flag = std::get_if<bool>(&group.value)) text = *flag ? "true" : "false";
      text += ":";
      for (uint64_t id : Ids(group.hits)) absl::StrAppend(&text, " ", id);
    }
    return texts;
  }

  SearchReport report_;  // of the last search
};

// More points of one group, and of none, than one search may find lie before the others.
TEST_F(EngineGroupsTest, FindsGroupsBehindManyPointsOfOthers) {
  std::vector<std::string> payloads(11'000, R"({"other":1})");
  payloads.resize(23'000, R"({"g":"common"})");
  for (const char* rare : {R"({"g":["rare","common"]})", R"({"g":7})", R"({"g":"rare"})",
                           R"({"g":[true,null]})", R"({"g":"last"})", R"({"g":7})"}) {
    payloads.emplace_back(rare);
  }
  Fill(payloads);
  const std::vector<std::string> expected = {"common: 11000 11001", "rare: 23000 23002",
                                             "7: 23001 23005", "true: 23003", "last: 23004"};
  const auto check = [&](bool exact) {
    EXPECT_EQ(Nearest(9, 2, exact), expected) << "all that there are";
    EXPECT_TRUE(report_.exhausted);
    EXPECT_TRUE(report_.explained);
    EXPECT_GT(report_.candidates_reranked, 2 * 23'000u) << "of all the searches";
    EXPECT_EQ(Nearest(5, 2, exact), expected);
    EXPECT_EQ(Nearest(3, 2, exact),
              std::vector<std::string>(expected.begin(), expected.begin() + 3));
    EXPECT_EQ(Nearest(1, 1, exact), std::vector<std::string>{"common: 11000"});
  };
  check(false);
  const PayloadIndexSpec spec{FieldPath("g"), PayloadIndexType::kKeyword};
  ASSERT_EQ(Await(engine_->CreatePayloadIndex("c", spec))->state, OperationState::kSucceeded);
  check(false);
  Train("c", 64);
  check(true);
}

// A search finds fewer points than belong to groups that are not full, and always the same ones.
TEST_F(EngineGroupsTest, FillsManyLargeGroups) {
  constexpr size_t kGroups = 120, kSize = 100, kRare = 3;
  std::vector<std::string> payloads;
  for (size_t i = 0; i < kGroups * kSize; ++i) {
    payloads.push_back(absl::StrCat(R"({"g":)", i % kGroups, "}"));
  }
  for (size_t i = 0; i < kRare; ++i) payloads.push_back(absl::StrCat(R"({"g":"rare)", i, "\"}"));
  Fill(payloads);
  const std::vector<std::string> groups = Nearest(kGroups + kRare + 1, kSize, /*exact=*/true);
  ASSERT_EQ(groups.size(), kGroups + kRare);
  EXPECT_TRUE(report_.exhausted);
  for (size_t g = 0; g < kGroups; ++g) {
    std::string expected = absl::StrCat(g, ":");
    for (size_t i = 0; i < kSize; ++i) absl::StrAppend(&expected, " ", g + i * kGroups);
    EXPECT_EQ(groups[g], expected);
  }
  for (size_t i = 0; i < kRare; ++i) {
    EXPECT_EQ(groups[kGroups + i], absl::StrCat("rare", i, ": ", kGroups * kSize + i));
  }
}

TEST(FacetValues, FiltersOfThemMeanWhatTheySay) {
  const FieldPath key("g");
  const std::vector<FacetValue> all = {
      FacetValue("a"),   FacetValue(""),         FacetValue("b"),       FacetValue(true),
      FacetValue(false), FacetValue(int64_t{0}), FacetValue(int64_t{5})};
  const std::vector<std::string> payloads = {
      "",           R"({"g":null})",  R"({"g":"a"})",  R"({"g":""})",  R"({"g":["b","a"]})",
      R"({"g":0})", R"({"g":[5,0]})", R"({"g":true})", R"({"g":1.5})", R"({"g":[false,"c"]})"};
  for (size_t set = 1; set < size_t{1} << all.size(); ++set) {
    std::vector<FacetValue> some;
    for (size_t i = 0; i < all.size(); ++i) {
      if (set >> i & 1) some.push_back(all[i]);
    }
    const auto listed = [&](const FacetValue& value) {
      return std::find(some.begin(), some.end(), value) != some.end();
    };
    for (const std::string& payload : payloads) {
      const auto values = FacetValuesOf(key, payload);
      EXPECT_EQ(MatchesText(WithSomeOf(key, some), uint64_t{1}, payload),
                std::any_of(values.begin(), values.end(), listed));
      EXPECT_EQ(MatchesText(WithOthersThan(key, some), uint64_t{1}, payload),
                !std::all_of(values.begin(), values.end(), listed));
    }
  }
}

// In lists, a search finds no more than the lists hold that it goes through.
TEST_F(EngineGroupsTest, FillsGroupsFromAsManyListsAsThatTakes) {
  constexpr size_t kPoints = 6'000;
  constexpr size_t kGroups = 40;
  Create("c", 16);
  const Matrix rows = ClusteredRows(kPoints, 16, 1);
  UpsertBatch batch;
  for (size_t i = 0; i < kPoints; ++i) {
    batch.ids.push_back(PointId(uint64_t{i}));
    batch.payloads.push_back(absl::StrCat("{\"g\":", i % kGroups, "}"));
  }
  batch.vectors = FloatView(rows);
  ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  Train("c", 150);
  const Matrix queries = ClusteredRows(30, 16, 2);
  for (const double recall : {0.0, 0.5, 0.9}) {
    for (size_t q = 0; q < queries.rows(); ++q) {
      GroupsRequest request;
      request.search.collection = "c";
      request.search.vectors = FloatView(queries);
      request.search.vectors.data += q * request.search.vectors.row_bytes();
      request.search.vectors.rows = 1;
      request.search.limit = 10;
      if (recall > 0) request.search.target_recall = recall;
      request.group_by = FieldPath("g");
      request.group_size = 20;
      const auto result = engine_->SearchGroups(request);
      ASSERT_TRUE(result.ok()) << result.status();
      ASSERT_EQ(result->groups.size(), 10u);
      float nearest_before = 0;
      for (const HitGroup& group : result->groups) {
        EXPECT_EQ(group.hits.size(), 20u);
        EXPECT_TRUE(std::is_sorted(group.hits.begin(), group.hits.end(),
                                   [](const Hit& a, const Hit& b) { return a.score < b.score; }));
        EXPECT_GE(group.hits[0].score, nearest_before);
        nearest_before = group.hits[0].score;
      }
    }
  }
}

}  // namespace
}  // namespace tessera
