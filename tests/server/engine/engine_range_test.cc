// Range searches against brute force, and the bounds and the order of hits.
#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/engine/range_cursor.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr uint32_t kDimension = 16;
constexpr size_t kPoints = 3500;

struct Variant {
  Metric metric;
  VectorPlacement placement = VectorPlacement::kMemory;
};

class EngineRange : public EngineFixture {
 protected:
  static RangeRequest RequestOf(const Matrix& query, float radius, size_t page_size) {
    RangeRequest request;
    request.collection = "c";
    request.vector = FloatView(query);
    request.radius = radius;
    request.page_size = page_size;
    return request;
  }

  // All pages. Between two pages, `between` is called.
  std::vector<Hit> AllPages(RangeRequest request, const std::function<void()>& between = {}) {
    std::vector<Hit> hits;
    do {
      auto page = engine_->SearchRange(request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return hits;
      EXPECT_LE(page->hits.size(), request.page_size);
      EXPECT_TRUE(page->next_page_token.empty() || page->hits.size() == request.page_size);
      for (Hit& hit : page->hits) hits.push_back(std::move(hit));
      request.page_token = page->next_page_token;
      if (between) between();
    } while (!request.page_token.empty());
    return hits;
  }

  // Every point by (score, id): what an exact search says.
  std::vector<Hit> Everything(const Matrix& query, const Filter& filter = {}) {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(query);
    request.limit = 9'000;
    request.exact = true;
    request.filter = filter;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result->hits[0];
  }

  static bool Within(float score, float radius, Metric metric) {
    return metric == Metric::kL2 ? score <= radius : score >= radius;
  }

  static void ExpectSame(const std::vector<Hit>& a, const std::vector<Hit>& b) {
    ASSERT_EQ(Ids(a), Ids(b));
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].score, b[i].score);
  }

  // Ranges of many sizes, in pages of many sizes, are the front of everything.
  void ExpectRangesAreComplete(Metric metric, const Filter& filter) {
    const Matrix queries = ClusteredRows(3, kDimension, 2);
    for (size_t q = 0; q < queries.rows(); ++q) {
      Matrix query(1, kDimension);
      std::copy_n(queries.row(q).data(), kDimension, query.data());
      const std::vector<Hit> all = Everything(query, filter);
      for (size_t rank : {size_t{0}, size_t{11}, all.size() / 8, all.size() - 1}) {
        const float radius = all[rank].score;
        std::vector<Hit> truth;
        for (const Hit& hit : all) {
          if (Within(hit.score, radius, metric)) truth.push_back(hit);
        }
        for (size_t page_size : {size_t{5}, size_t{300}, size_t{10'000}}) {
          if (truth.size() / page_size > 100) continue;
          RangeRequest request = RequestOf(query, radius, page_size);
          request.filter = filter;
          ExpectSame(AllPages(request), truth);
        }
      }
    }
  }

  static Filter Only(const std::string& kind) {
    Filter filter;
    filter.must.push_back({FieldCondition{FieldPath("kind"), Match{{kind}}}});
    return filter;
  }
};

class EngineRangeVariants : public EngineRange, public ::testing::WithParamInterface<Variant> {};

TEST_P(EngineRangeVariants, HoldsEveryPointWithinTheRadius) {
  Create("c", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().placement);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1), R"({"kind":"a"})").ok());
  ASSERT_TRUE(UpsertRows("c", 10'000, ClusteredRows(300, kDimension, 4), R"({"kind":"b"})").ok());
  ExpectRangesAreComplete(GetParam().metric, {});
  Train("c");
  // Written, replaced and deleted since.
  ASSERT_TRUE(UpsertRows("c", 100, ClusteredRows(200, kDimension, 5), R"({"kind":"a"})").ok());
  std::vector<PointId> gone;
  for (uint64_t id = 1000; id < 1100; ++id) gone.push_back(PointId(id));
  ASSERT_TRUE(engine_->DeletePoints("c", gone, {}).ok());
  ExpectRangesAreComplete(GetParam().metric, {});
  ExpectRangesAreComplete(GetParam().metric, Only("a"));  // lists
  ExpectRangesAreComplete(GetParam().metric, Only("b"));  // few: each is compared
  Reopen();
  ExpectRangesAreComplete(GetParam().metric, {});
}

TEST_P(EngineRangeVariants, CodesSaveComparisons) {
  Create("c", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().placement);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1)).ok());
  Train("c");
  const Matrix query = ClusteredRows(1, kDimension, 2);
  RangeRequest request = RequestOf(query, Everything(query)[60].score, 10'000);
  request.explain = true;
  const auto page = engine_->SearchRange(request);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_GE(page->hits.size(), 61u);
  EXPECT_EQ(page->report.plan, SearchPlan::kLists);
  EXPECT_LT(page->report.candidates_reranked, kPoints / 2);
  EXPECT_GE(page->report.candidates_reranked, page->hits.size());
  const auto certain = std::count_if(page->hits.begin(), page->hits.end(),
                                     [](const Hit& hit) { return hit.certain_by_code; });
  EXPECT_GT(certain, 0);
  EXPECT_LT(certain, static_cast<ptrdiff_t>(page->hits.size()));
  for (const Hit& hit : page->hits) EXPECT_TRUE(hit.score_is_exact);
}

TEST_P(EngineRangeVariants, PagesHoldWhateverIsWrittenBetweenThem) {
  Create("c", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().placement);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1)).ok());
  Train("c");
  const Matrix query = ClusteredRows(1, kDimension, 2);
  const std::vector<Hit> all = Everything(query);
  const std::vector<Hit> truth(all.begin(), all.begin() + 1500);
  // Every third hit is deleted at some time, and as many others are written near the query.
  std::set<uint64_t> unstable;
  for (size_t i = 0; i < truth.size(); i += 3) unstable.insert(std::get<uint64_t>(truth[i].id));
  auto next = unstable.begin();
  uint64_t fresh = 100'000;
  int pages = 0;
  const auto write = [&] {
    std::vector<PointId> gone;
    for (int i = 0; i < 10 && next != unstable.end(); ++i) gone.push_back(PointId(*next++));
    if (!gone.empty()) {
      ASSERT_TRUE(engine_->DeletePoints("c", gone, {}).ok());
    }
    ASSERT_TRUE(UpsertRows("c", fresh, ClusteredRows(10, kDimension, 100 + pages)).ok());
    fresh += 10;
    if (++pages == 12) Train("c");
    if (pages == 25) Reopen();
  };
  const std::vector<Hit> hits = AllPages(RequestOf(query, truth.back().score, 37), write);
  std::map<uint64_t, int> times;
  for (size_t i = 0; i < hits.size(); ++i) {
    ++times[std::get<uint64_t>(hits[i].id)];
    if (i == 0) continue;
    const bool nearer = GetParam().metric == Metric::kL2 ? hits[i - 1].score < hits[i].score
                                                         : hits[i - 1].score > hits[i].score;
    EXPECT_TRUE(nearer || (hits[i - 1].score == hits[i].score && hits[i - 1].id < hits[i].id));
  }
  for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << id;
  for (const Hit& hit : truth) {
    const uint64_t id = std::get<uint64_t>(hit.id);
    if (!unstable.contains(id)) {
      EXPECT_EQ(times.count(id), 1u) << id;
    }
  }
  EXPECT_GT(pages, 30);
}

TEST_P(EngineRangeVariants, BoundsHoldTheExactScore) {
  Create("c", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().placement);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1)).ok());
  Train("c");
  const Matrix queries = ClusteredRows(20, kDimension, 2);
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(queries);
  request.limit = 200;
  request.with_bounds = true;
  for (bool no_rerank : {true, false}) {
    request.no_rerank = no_rerank;
    const auto result = engine_->Search(request);
    ASSERT_TRUE(result.ok()) << result.status();
    for (size_t q = 0; q < queries.rows(); ++q) {
      Matrix query(1, kDimension);
      std::copy_n(queries.row(q).data(), kDimension, query.data());
      std::map<PointId, float> exact;
      for (const Hit& hit : Everything(query)) exact[hit.id] = hit.score;
      for (const Hit& hit : result->hits[q]) {
        ASSERT_TRUE(hit.bounds.has_value());
        EXPECT_EQ(hit.score_is_exact, !no_rerank);
        EXPECT_LE(hit.bounds->lower, exact.at(hit.id));
        EXPECT_GE(hit.bounds->upper, exact.at(hit.id));
        EXPECT_LE(hit.bounds->lower, hit.score);
        EXPECT_GE(hit.bounds->upper, hit.score);
        EXPECT_EQ(hit.bounds->lower < hit.bounds->upper, no_rerank);
      }
    }
  }
  request.with_bounds = false;
  EXPECT_FALSE(engine_->Search(request)->hits[0][0].bounds.has_value());
}

INSTANTIATE_TEST_SUITE_P(All, EngineRangeVariants,
                         ::testing::Values(Variant{Metric::kL2}, Variant{Metric::kInnerProduct},
                                           Variant{Metric::kCosine},
                                           Variant{Metric::kL2, VectorPlacement::kDisk},
                                           Variant{Metric::kCosine, VectorPlacement::kDisk}),
                         [](const auto& info) {
                           return absl::StrCat(
                               "Metric", static_cast<int>(info.param.metric),
                               info.param.placement == VectorPlacement::kDisk ? "OnDisk" : "");
                         });

// Points whose vectors are the same: their ids alone give the order, and slots do not agree with
// it.
TEST_F(EngineRange, EquallyFarPointsComeByTheirIdsOnEveryPage) {
  Create("c", kDimension);
  Matrix same(400, kDimension);
  for (size_t i = 0; i < same.rows(); ++i) {
    std::fill_n(same.row(i).data(), kDimension, static_cast<float>(i % 4));
  }
  UpsertBatch batch;
  for (uint64_t i = 0; i < 400; ++i) {
    batch.ids.push_back(i % 8 == 0 ? PointId(absl::StrCat("p", i)) : PointId(1000 - i));
  }
  batch.vectors = FloatView(same);
  ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  const Matrix query(1, kDimension);
  for (bool trained : {false, true}) {
    if (trained) Train("c", 4);
    std::vector<std::pair<float, PointId>> truth;
    for (size_t i = 0; i < 400; ++i) {
      truth.emplace_back(kDimension * static_cast<float>(i % 4 * (i % 4)), batch.ids[i]);
    }
    std::sort(truth.begin(), truth.end());
    const auto pairs_of = [](const std::vector<Hit>& hits) {
      std::vector<std::pair<float, PointId>> pairs;
      for (const Hit& hit : hits) pairs.emplace_back(hit.score, hit.id);
      return pairs;
    };
    for (size_t page_size : {1, 7, 150}) {
      EXPECT_EQ(pairs_of(AllPages(RequestOf(query, 1e6f, page_size))), truth);
    }
    // Pages by offset, compared exactly.
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(query);
    request.exact = true;
    std::vector<Hit> pages;
    for (request.offset = 0; request.offset < 400; request.offset += request.limit) {
      request.limit = 9;
      auto page = engine_->Search(request);
      ASSERT_TRUE(page.ok()) << page.status();
      for (Hit& hit : page->hits[0]) pages.push_back(std::move(hit));
    }
    EXPECT_EQ(pairs_of(pages), truth);
  }
}

TEST_F(EngineRange, AStoredPointIsNotAmongItsNeighbours) {
  Create("c", kDimension);
  const Matrix rows = ClusteredRows(500, kDimension, 1);
  ASSERT_TRUE(UpsertRows("c", 0, rows).ok());
  Matrix query(1, kDimension);
  std::copy_n(rows.row(7).data(), kDimension, query.data());
  std::vector<Hit> truth = Everything(query);
  ASSERT_EQ(truth[0].id, PointId(uint64_t{7}));
  truth.erase(truth.begin());
  RangeRequest request = RequestOf(query, truth.back().score, 60);
  request.vector = {};
  request.id = PointId(uint64_t{7});
  ExpectSame(AllPages(request), truth);
}

TEST_F(EngineRange, RefusesWhatIsNoSearch) {
  Create("c", kDimension);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(100, kDimension, 1)).ok());
  const Matrix query = ClusteredRows(1, kDimension, 2);
  const Matrix other = ClusteredRows(2, kDimension, 3);
  const RangeRequest good = RequestOf(query, 1e6f, 10);
  const auto field_of = [&](const std::function<void(RangeRequest&)>& spoil) {
    RangeRequest bad = good;
    spoil(bad);
    return GetStatusDetails(engine_->SearchRange(bad).status()).field;
  };
  EXPECT_EQ(field_of([](RangeRequest& r) { r.radius = std::nanf(""); }), "radius");
  EXPECT_EQ(field_of([](RangeRequest& r) { r.page_size = 0; }), "page_size");
  EXPECT_EQ(field_of([](RangeRequest& r) { r.page_size = 10'001; }), "page_size");
  EXPECT_EQ(field_of([](RangeRequest& r) { r.id = PointId(uint64_t{1}); }), "id");
  EXPECT_EQ(field_of([&](RangeRequest& r) { r.vector = FloatView(other); }), "vector");
  EXPECT_EQ(field_of([](RangeRequest& r) { r.vector = {}; }), "vector");
  EXPECT_EQ(field_of([](RangeRequest& r) { r.page_token = "nonsense"; }), "page_token");
  const auto page = engine_->SearchRange(good);
  ASSERT_TRUE(page.ok());
  ASSERT_FALSE(page->next_page_token.empty());
  const auto with_token = [&](RangeRequest& r) { r.page_token = page->next_page_token; };
  EXPECT_EQ(field_of(with_token), "");
  EXPECT_EQ(field_of([&](RangeRequest& r) {
              with_token(r);
              r.radius = 1e5f;
            }),
            "page_token");
  const Matrix third = ClusteredRows(1, kDimension, 3);
  EXPECT_EQ(field_of([&](RangeRequest& r) {
              with_token(r);
              r.vector = FloatView(third);
            }),
            "page_token");
  EXPECT_EQ(field_of([&](RangeRequest& r) {
              with_token(r);
              r.filter = Only("a");
            }),
            "page_token");
  RangeRequest missing = good;
  missing.vector = {};
  missing.id = PointId("absent");
  EXPECT_TRUE(absl::IsNotFound(engine_->SearchRange(missing).status()));
  missing.collection = "absent";
  EXPECT_TRUE(absl::IsNotFound(engine_->SearchRange(missing).status()));
}

TEST(RangeCursor, ComesBackAsItWas) {
  for (const PointId& id : {PointId(uint64_t{7}), PointId("x"), PointId(std::string(256, 'y'))}) {
    for (float distance : {0.0f, -0.75f, 1e30f}) {
      const std::string token = EncodeRangeCursor(3, 99, {distance, id});
      const auto cursor = DecodeRangeCursor(token, 3, 99);
      ASSERT_TRUE(cursor.ok()) << cursor.status();
      EXPECT_EQ(cursor->distance, distance);
      EXPECT_EQ(cursor->id, id);
      EXPECT_FALSE(DecodeRangeCursor(token, 4, 99).ok());
      EXPECT_FALSE(DecodeRangeCursor(token, 3, 98).ok());
      EXPECT_FALSE(DecodeRangeCursor(token.substr(1), 3, 99).ok());
    }
  }
}

}  // namespace
}  // namespace tessera
