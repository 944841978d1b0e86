// Pages in the order of a payload field, against a sort of all payloads; also while others write.
#include <atomic>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/engine/record_keys.h"
#include "server/filter/evaluate.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

using Json = nlohmann::json;
constexpr size_t kDimension = 4;

class EngineOrderTest : public EngineFixture {
 protected:
  // Upserts points of these ids with one vector and these payloads.
  void Put(const std::vector<PointId>& ids, const std::vector<std::string>& payloads) {
    UpsertBatch batch;
    batch.ids = ids;
    batch.payloads = payloads;
    const Matrix rows = ClusteredRows(ids.size(), kDimension, 1);
    batch.vectors = FloatView(rows);
    const auto result = engine_->Upsert("c", batch);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  static ScrollOrder By(const std::string& key, bool descending = false) {
    ScrollOrder order;
    order.key = FieldPath(key);
    order.descending = descending;
    return order;
  }
  absl::StatusOr<ScrollPage> Page(const ScrollOrder& order, size_t page_size,
                                  const std::string& token = "", const Filter& filter = {}) {
    ElementType type;
    return engine_->ScrollInOrder("c", order, page_size, token, filter,
                                  {.payload = {.enabled = true}}, &type);
  }
  // All pages, one after the other.
  std::vector<PointId> All(const ScrollOrder& order, size_t page_size, const Filter& filter = {}) {
    std::vector<PointId> ids;
    std::string token;
    do {
      const auto page = Page(order, page_size, token, filter);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->points.size(), page_size);
      for (const PointData& point : page->points) ids.push_back(point.id);
      token = page->next_page_token;
    } while (!token.empty());
    return ids;
  }
  std::string FieldOf(const absl::Status& status) { return GetStatusDetails(status).field; }
};

Filter AtLeastZero(const std::string& key) {
  NumberRange range;
  range.bounds.gte = 0;
  return Must(Where(key, range));
}

// The points that have values, by the first of them in the order.
template <class Value>
std::vector<PointId> Sorted(const std::map<PointId, std::vector<Value>>& values, bool descending) {
  std::vector<std::pair<Value, PointId>> order;
  for (const auto& [id, of_point] : values) {
    if (of_point.empty()) continue;
    order.emplace_back(descending ? *std::max_element(of_point.begin(), of_point.end())
                                  : *std::min_element(of_point.begin(), of_point.end()),
                       id);
  }
  std::sort(order.begin(), order.end(), [descending](const auto& a, const auto& b) {
    if (a.first != b.first) return descending ? b.first < a.first : a.first < b.first;
    return a.second < b.second;
  });
  std::vector<PointId> ids;
  for (auto& [value, id] : order) ids.push_back(id);
  return ids;
}

TEST_F(EngineOrderTest, PagesAreASortOfAllPoints) {
  Create("c", kDimension);
  std::mt19937 random(3);
  std::map<PointId, std::vector<int64_t>> integers;
  std::map<PointId, std::vector<double>> floats;
  std::map<PointId, std::vector<std::string>> words;
  std::vector<PointId> ids;
  std::vector<std::string> payloads;
  for (uint64_t i = 0; i < 2'000; ++i) {
    const PointId id = i % 3 == 0 ? PointId(absl::StrCat("p", i)) : PointId(i);
    Json payload = Json::object();
    // Some points have no value, some several, and many share one.
    const size_t count = random() % 4;
    for (size_t v = 0; v < count; ++v) {
      integers[id].push_back(static_cast<int64_t>(random() % 50) - 25);
      floats[id].push_back(static_cast<double>(random() % 1000) / 8 - 60);
      words[id].push_back(absl::StrCat("w", random() % 300));
    }
    if (count == 1) {
      payload = {{"n", integers[id][0]}, {"x", {{"y", floats[id][0]}}}, {"w", words[id][0]}};
    } else if (count > 1) {
      payload = {{"n", integers[id]}, {"x", {{"y", floats[id]}}}, {"w", words[id]}};
      payload["n"].push_back("no number");
    }
    if (!payload.empty()) payload["u"] = static_cast<int64_t>(random() % 3) - 1;
    ids.push_back(id);
    payloads.push_back(payload.empty() ? "" : payload.dump());
  }
  Put(ids, payloads);
  Index("n", PayloadIndexType::kInteger);
  Index("x.y", PayloadIndexType::kFloat);
  Index("w", PayloadIndexType::kKeyword);
  for (const bool descending : {false, true}) {
    for (const size_t page_size : {1'000, 77, 7}) {
      EXPECT_EQ(All(By("n", descending), page_size), Sorted(integers, descending));
      EXPECT_EQ(All(By("x.y", descending), page_size), Sorted(floats, descending));
      EXPECT_EQ(All(By("w", descending), page_size), Sorted(words, descending));
    }
  }
  // With a filter: one that the index decides, and one that payloads decide.
  for (const char* key : {"n", "u"}) {
    const Filter filter = AtLeastZero(key);
    std::map<PointId, std::vector<int64_t>> matching;
    for (size_t i = 0; i < ids.size(); ++i) {
      const Json payload = payloads[i].empty() ? Json() : Json::parse(payloads[i]);
      if (Matches(filter, ViewOf(ids[i]), payload)) matching[ids[i]] = integers[ids[i]];
    }
    EXPECT_EQ(All(By("n"), 50, filter), Sorted(matching, false)) << key;
    EXPECT_EQ(All(By("n", true), 50, filter), Sorted(matching, true)) << key;
  }
}

TEST_F(EngineOrderTest, StartsFromAValueOfTheIndexesType) {
  Create("c", kDimension);
  std::vector<PointId> ids;
  std::vector<std::string> payloads;
  for (uint64_t i = 0; i < 10; ++i) {
    ids.push_back(PointId(i));
    payloads.push_back(Json{
        {"n", i},
        {"x", i + 0.5},
        {"t", absl::StrCat("2024-01-0", i % 9 + 1)},
        {"w", absl::StrCat("w", i)},
        {"b", i % 2 == 0}}.dump());
  }
  Put(ids, payloads);
  Index("n", PayloadIndexType::kInteger);
  Index("x", PayloadIndexType::kFloat);
  Index("t", PayloadIndexType::kDatetime);
  Index("w", PayloadIndexType::kKeyword);
  Index("b", PayloadIndexType::kBool);
  const auto first = [&](const std::string& key, bool descending, auto start) {
    ScrollOrder order = By(key, descending);
    order.start_from = start;
    const auto page = Page(order, 3);
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<uint64_t> found;
    if (page.ok()) {
      for (const PointData& point : page->points) found.push_back(std::get<uint64_t>(point.id));
    }
    return found;
  };
  using Ids = std::vector<uint64_t>;
  EXPECT_EQ(first("n", false, int64_t{4}), (Ids{4, 5, 6}));
  EXPECT_EQ(first("n", true, int64_t{4}), (Ids{4, 3, 2}));
  EXPECT_EQ(first("n", true, int64_t{-1}), Ids());
  EXPECT_EQ(first("n", true, int64_t{99}), (Ids{9, 8, 7}));
  EXPECT_EQ(first("x", false, 4.6), (Ids{5, 6, 7}));
  EXPECT_EQ(first("x", false, int64_t{4}), (Ids{4, 5, 6}));
  EXPECT_EQ(first("t", false, std::string("2024-01-08T12:00:00Z")), (Ids{8}));
  EXPECT_EQ(first("w", true, std::string("w2x")), (Ids{2, 1, 0}));
  EXPECT_EQ(first("b", false, std::monostate()), (Ids{1, 3, 5}));

  const auto refused = [&](const std::string& key, auto start) {
    ScrollOrder order = By(key);
    order.start_from = start;
    return FieldOf(Page(order, 3).status());
  };
  EXPECT_EQ(refused("n", 4.5), "order_by.start_from");
  EXPECT_EQ(refused("n", std::string("4")), "order_by.start_from");
  EXPECT_EQ(refused("x", std::nan("")), "order_by.start_from");
  EXPECT_EQ(refused("t", std::string("yesterday")), "order_by.start_from");
  EXPECT_EQ(refused("b", int64_t{1}), "order_by.start_from");
}

TEST_F(EngineOrderTest, AStartThatIsNoDoubleLiesBetweenTwo) {
  Create("c", kDimension);
  constexpr int64_t kWide = int64_t{1} << 53;  // from here on, every other integer is a double
  Put({PointId(uint64_t{0}), PointId(uint64_t{2}), PointId(uint64_t{4})},
      {absl::StrCat("{\"x\":", kWide, "}"), absl::StrCat("{\"x\":", kWide + 2, "}"),
       absl::StrCat("{\"x\":", kWide + 4, "}")});
  Index("x", PayloadIndexType::kFloat);
  const auto from = [&](int64_t start, bool descending) {
    ScrollOrder order = By("x", descending);
    order.start_from = start;
    return All(order, 3);
  };
  using Ids = std::vector<PointId>;
  EXPECT_EQ(from(kWide + 1, false), (Ids{uint64_t{2}, uint64_t{4}}));
  EXPECT_EQ(from(kWide + 3, false), Ids{uint64_t{4}});
  EXPECT_EQ(from(kWide + 3, true), (Ids{uint64_t{2}, uint64_t{0}}));
  EXPECT_EQ(from(kWide + 1, true), Ids{uint64_t{0}});
  EXPECT_EQ(from(kWide + 2, true), (Ids{uint64_t{2}, uint64_t{0}}));
  EXPECT_EQ(from(-(int64_t{1} << 62) - 1, false).size(), 3u);
}

TEST_F(EngineOrderTest, AnOrderNeedsAnIndexAndItsOwnToken) {
  Create("c", kDimension);
  Put({PointId(uint64_t{1}), PointId(uint64_t{2})}, {R"({"n":1,"m":1})", R"({"n":2,"m":2})"});
  const absl::Status missing = Page(By("n"), 1).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GetStatusDetails(missing).reason, "PAYLOAD_INDEX_MISSING");
  EXPECT_NE(missing.message().find("order_by.key"), absl::string_view::npos) << missing;
  EXPECT_EQ(FieldOf(Page(By("a..b"), 1).status()), "order_by.key");
  Index("n", PayloadIndexType::kInteger);
  Index("m", PayloadIndexType::kInteger);
  const auto page = Page(By("n"), 1);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_FALSE(page->next_page_token.empty());
  EXPECT_TRUE(Page(By("n"), 1, page->next_page_token).ok());
  EXPECT_EQ(FieldOf(Page(By("n", true), 1, page->next_page_token).status()), "page_token");
  EXPECT_EQ(FieldOf(Page(By("m"), 1, page->next_page_token).status()), "page_token");
  EXPECT_EQ(FieldOf(Page(By("n"), 1, page->next_page_token, AtLeastZero("n")).status()),
            "page_token");
  EXPECT_EQ(FieldOf(Page(By("n"), 1, page->next_page_token + "A").status()), "page_token");
  ElementType type;
  const auto by_id = engine_->ScrollPoints("c", 1, "", {}, {}, &type);
  EXPECT_EQ(FieldOf(Page(By("n"), 1, by_id->next_page_token).status()), "page_token");
  EXPECT_EQ(FieldOf(engine_->ScrollPoints("c", 1, page->next_page_token, {}, {}, &type).status()),
            "page_token");
}

// Points of even ids are there with the same value all the time, and are replaced all the time;
// those of odd ids come, change their values and go.
TEST_F(EngineOrderTest, PagingUnderWritesNeitherRepeatsNorSkips) {
  constexpr uint64_t kPoints = 1'200;
  const auto value = [](uint64_t id) { return static_cast<int64_t>((id * 7919) % 100); };
  // The least value of one field and the greatest of the other stay.
  const auto payload = [](int64_t number, uint64_t round) {
    const auto other = static_cast<int64_t>(round % 3);
    return Json{{"up", {number, number + other}}, {"down", {number - other, number}}, {"r", round}}
        .dump();
  };
  Create("c", kDimension);
  std::vector<PointId> ids;
  std::vector<std::string> payloads;
  std::map<PointId, std::vector<int64_t>> steady;
  for (uint64_t id = 0; id < kPoints; id += 2) {
    ids.push_back(PointId(id));
    payloads.push_back(payload(value(id), 0));
    steady[PointId(id)] = {value(id)};
  }
  Put(ids, payloads);
  Index("up", PayloadIndexType::kInteger);
  Index("down", PayloadIndexType::kInteger);
  Train("c", 4);

  std::atomic<bool> done{false};
  std::atomic<uint64_t> rounds{0};
  std::thread writer([&] {
    std::mt19937 random(5);
    for (uint64_t round = 1; !done.load(); ++round) {
      std::vector<PointId> some;
      std::vector<std::string> texts;
      std::set<uint64_t> chosen;
      while (chosen.size() < 40) chosen.insert(random() % kPoints);
      std::vector<PointId> gone;
      for (uint64_t id : chosen) {
        if (id % 2 == 1 && random() % 3 == 0) {
          gone.push_back(PointId(id));
          continue;
        }
        some.push_back(PointId(id));
        const auto moved = static_cast<int64_t>(random() % 100);
        texts.push_back(payload(id % 2 == 0 ? value(id) : moved, round));
      }
      if (!gone.empty()) {
        EXPECT_TRUE(engine_->DeletePoints("c", gone, {Durability::kAsync}).ok());
      }
      if (!some.empty()) Put(some, texts);
      rounds.fetch_add(1);
    }
  });
  for (int pass = 0; (pass < 12 || rounds.load() < 20) && !HasFailure(); ++pass) {
    const bool descending = pass % 2 == 1;
    const std::vector<PointId> seen =
        All(By(descending ? "down" : "up", descending), pass % 4 < 2 ? 37 : 100,
            pass % 3 == 0 ? AtLeastZero("r") : Filter());
    std::vector<PointId> of_steady;
    for (const PointId& id : seen) {
      if (steady.contains(id)) of_steady.push_back(id);
    }
    EXPECT_EQ(of_steady, Sorted(steady, descending)) << "pass " << pass;
  }
  done.store(true);
  writer.join();
}

}  // namespace
}  // namespace tessera
