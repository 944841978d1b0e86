// Values by their counts, page by page, against a count of all payloads; also while others write.
#include <algorithm>
#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/engine/facet_values.h"
#include "server/filter/evaluate.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

using Json = nlohmann::json;
constexpr size_t kDimension = 2;

class EngineFacetTest : public EngineFixture {
 protected:
  // Upserts points of these ids and payloads.
  void Put(const std::vector<uint64_t>& ids, const std::vector<std::string>& payloads) {
    UpsertBatch batch;
    for (uint64_t id : ids) batch.ids.push_back(PointId(id));
    batch.payloads = payloads;
    const Matrix rows = ClusteredRows(ids.size(), kDimension, 1);
    batch.vectors = FloatView(rows);
    const auto result = engine_->Upsert("c", batch);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  absl::StatusOr<FacetResult> Page(const std::string& key, size_t limit,
                                   const std::string& token = "", const Filter& filter = {}) {
    return engine_->Facet({"c", FieldPath(key), filter, limit, token});
  }
  // All pages, one after the other.
  std::vector<FacetCount> All(const std::string& key, size_t limit, const Filter& filter = {},
                              bool indexed = false) {
    std::vector<FacetCount> counts;
    std::string token;
    do {
      const auto page = Page(key, limit, token, filter);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_EQ(page->indexed, indexed);
      token = page->next_page_token;
      EXPECT_TRUE(token.empty() ? page->counts.size() <= limit : page->counts.size() == limit);
      counts.insert(counts.end(), page->counts.begin(), page->counts.end());
    } while (!token.empty());
    return counts;
  }
  static std::string FieldOf(const absl::Status& status) { return GetStatusDetails(status).field; }
};

Filter Below(const std::string& key, int64_t bound) {
  NumberRange range;
  range.bounds.lt = bound;
  return Must(Where(key, range));
}

std::vector<FacetCount> Sorted(const std::map<FacetValue, uint64_t>& truth) {
  std::vector<FacetCount> counts;
  for (const auto& [value, points] : truth) counts.push_back({value, points});
  std::sort(counts.begin(), counts.end(), [](const FacetCount& a, const FacetCount& b) {
    return a.points != b.points ? a.points > b.points : a.value < b.value;
  });
  return counts;
}

TEST_F(EngineFacetTest, PagesAreASortOfAllValues) {
  Create("c", kDimension);
  std::mt19937 random(3);
  std::vector<uint64_t> ids;
  std::vector<std::string> payloads;
  for (uint64_t id = 0; id < 1'000; ++id) {
    // Many values share a count; some points have none, and some two.
    Json payload{{"n", id}, {"number", static_cast<int64_t>(random() % 300) - 150}};
    const auto word = [&] { return absl::StrCat("w", random() % (1 + random() % 400)); };
    if (id % 10 > 0) payload["word"] = id % 3 == 0 ? Json{word(), word()} : Json(word());
    payload["flag"] = id % 3 == 0;
    payload["any"] = {word(), random() % 20, random() % 2 == 0, 0.5, nullptr};
    ids.push_back(id);
    payloads.push_back(payload.dump());
  }
  Put(ids, payloads);
  const std::vector<Filter> filters = {{}, Below("n", 200), Below("flag", 0)};
  const auto compare = [&](const std::string& key, bool indexed) {
    for (const Filter& filter : filters) {
      std::map<FacetValue, uint64_t> truth;
      for (size_t i = 0; i < ids.size(); ++i) {
        if (!MatchesText(filter, ids[i], payloads[i])) continue;
        for (const FacetValue& value : FacetValuesOf(FieldPath(key), payloads[i])) ++truth[value];
      }
      for (const size_t limit : {1'000, 37, 2}) {
        EXPECT_EQ(All(key, limit, filter, indexed), Sorted(truth)) << key << " by " << limit;
      }
    }
  };
  for (const char* key : {"word", "number", "flag", "any", "none"}) compare(key, false);
  Index("word", PayloadIndexType::kKeyword);
  Index("number", PayloadIndexType::kInteger);
  Index("flag", PayloadIndexType::kBool);
  Index("any", PayloadIndexType::kKeyword);
  for (const char* key : {"word", "number", "flag"}) compare(key, true);
  compare("any", false);  // its index does not hold all values
}

TEST_F(EngineFacetTest, APageBeginsInOneListAndGoesOnWithAnother) {
  Create("c", kDimension);
  Put({1, 2, 3, 4}, {R"({"w":"a"})", R"({"w":"b"})", R"({"w":"b"})", R"({"w":"c"})"});
  const auto read = Page("w", 1);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->counts, (std::vector<FacetCount>{{"b", 2}}));
  // The counts are the same by payloads and by an index: so is the list.
  Index("w", PayloadIndexType::kKeyword);
  const auto indexed = Page("w", 1, read->next_page_token);
  ASSERT_TRUE(indexed.ok()) << indexed.status();
  EXPECT_TRUE(indexed->indexed);
  EXPECT_EQ(indexed->counts, (std::vector<FacetCount>{{"a", 1}}));
  Reopen();
  const auto after_restart = Page("w", 5, indexed->next_page_token);
  ASSERT_TRUE(after_restart.ok()) << after_restart.status();
  EXPECT_EQ(after_restart->counts, (std::vector<FacetCount>{{"c", 1}}));
  EXPECT_EQ(after_restart->next_page_token, "");
}

TEST_F(EngineFacetTest, ATokenIsOfItsListOnly) {
  Create("c", kDimension);
  Create("other", kDimension);
  Put({1, 2}, {R"({"w":"a","v":1})", R"({"w":"b","v":2})"});
  const auto page = Page("w", 1);
  ASSERT_TRUE(page.ok()) << page.status();
  const std::string token = page->next_page_token;
  ASSERT_TRUE(Page("w", 1, token).ok());
  EXPECT_EQ(FieldOf(Page("v", 1, token).status()), "page_token");
  EXPECT_EQ(FieldOf(Page("w", 1, token, Below("v", 9)).status()), "page_token");
  EXPECT_EQ(FieldOf(Page("w", 1, token + "A").status()), "page_token");
  EXPECT_EQ(FieldOf(Page("w", 1, "nonsense").status()), "page_token");
  EXPECT_EQ(FieldOf(engine_->Facet({"other", FieldPath("w"), {}, 1, token}).status()),
            "page_token");
  ElementType type;
  const auto scroll = engine_->ScrollPoints("c", 1, "", {}, {}, &type);
  ASSERT_TRUE(scroll.ok()) << scroll.status();
  EXPECT_EQ(FieldOf(Page("w", 1, scroll->next_page_token).status()), "page_token");
  EXPECT_EQ(FieldOf(engine_->ScrollPoints("c", 1, token, {}, {}, &type).status()), "page_token");
}

// Values that begin with "s" keep their counts, though their points are replaced all the time; the
// others come, go, and grow past them.
TEST_F(EngineFacetTest, PagingUnderWritesNeitherRepeatsNorSkipsWhatStays) {
  constexpr uint64_t kSteady = 300;
  constexpr uint64_t kMoving = 300;
  Create("c", kDimension);
  const auto steady_value = [](uint64_t id) {
    uint64_t value = 0;
    for (uint64_t end = 1; id >= end; end += value % 5 + 1) ++value;  // of one to five points
    return absl::StrCat("s", value);
  };
  const auto payload = [](const std::string& value, uint64_t round) {
    return Json{{"indexed", value}, {"read", value}, {"r", round}}.dump();
  };
  std::map<FacetValue, uint64_t> steady;
  std::vector<uint64_t> ids;
  std::vector<std::string> payloads;
  for (uint64_t id = 0; id < kSteady; ++id) {
    ids.push_back(id);
    payloads.push_back(payload(steady_value(id), 0));
    ++steady[steady_value(id)];
  }
  Put(ids, payloads);
  Index("indexed", PayloadIndexType::kKeyword);

  std::atomic<bool> done{false};
  std::atomic<uint64_t> rounds{0};
  std::thread writer([&] {
    std::mt19937 random(5);
    for (uint64_t round = 1; !done.load(); ++round) {
      std::set<uint64_t> chosen;
      while (chosen.size() < 40) chosen.insert(random() % (kSteady + kMoving));
      std::vector<uint64_t> some;
      std::vector<std::string> texts;
      std::vector<PointId> gone;
      for (uint64_t id : chosen) {
        if (id >= kSteady && random() % 4 == 0) {
          gone.push_back(PointId(id));
          continue;
        }
        some.push_back(id);
        texts.push_back(
            payload(id < kSteady ? steady_value(id) : absl::StrCat("m", random() % 60), round));
      }
      if (!gone.empty()) {
        EXPECT_TRUE(engine_->DeletePoints("c", gone, {Durability::kAsync}).ok());
      }
      if (!some.empty()) Put(some, texts);
      rounds.fetch_add(1);
    }
  });
  for (int pass = 0; (pass < 12 || rounds.load() < 20) && !HasFailure(); ++pass) {
    const bool indexed = pass % 2 == 0;
    // A filter that all points match, and that only payloads can decide.
    const Filter filter = pass % 3 == 0 ? Filter() : Below("r", 1'000'000'000);
    std::vector<FacetCount> of_steady;
    for (const FacetCount& count :
         All(indexed ? "indexed" : "read", pass % 4 < 2 ? 7 : 20, filter, indexed)) {
      if (std::get<std::string>(count.value).starts_with('s')) of_steady.push_back(count);
    }
    EXPECT_EQ(of_steady, Sorted(steady)) << "pass " << pass;
  }
  done.store(true);
  writer.join();
}

}  // namespace
}  // namespace tessera
