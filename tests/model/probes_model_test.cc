// More probes never lower recall: of no query, where so many candidates are compared in full that
// codes leave none out.
//
// Then a search is the best of the points in the lists that it scans, and more probes scan those
// lists and others. (Of 512 lists and more, the nearest are found by codes of their centroids,
// which can give one list for another: there it holds on average, as integration/search_test sees.)
#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 12;
constexpr size_t kPoints = 8'000;
constexpr size_t kQueries = 24;
constexpr size_t kLimit = 10;
constexpr uint32_t kLists = 64;

struct Variant {
  Metric metric;
  VectorPlacement vectors;
  size_t matching;  // points: more than are all compared whatever `nprobe` says
};

class ProbesModelTest : public EngineFixture, public testing::WithParamInterface<Variant> {
 protected:
  // Point i has two numbers: "any", which tells nothing of where it is, and "rank", its place by
  // the distance from where half of the queries are.
  void Fill() {
    Create("c", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().vectors);
    const Matrix rows = ClusteredRows(kPoints, kDimension, 1);
    std::vector<uint64_t> any(kPoints);
    std::vector<std::pair<float, uint64_t>> order(kPoints);
    for (size_t i = 0; i < kPoints; ++i) {
      any[i] = i;
      float distance = 0;
      for (size_t j = 0; j < kDimension; ++j) {
        const float d = rows.row(i)[j] - rows.row(0)[j];
        distance += d * d;
      }
      order[i] = {distance, i};
    }
    std::shuffle(any.begin(), any.end(), std::mt19937(3));
    std::sort(order.begin(), order.end());
    std::vector<size_t> rank(kPoints);
    for (size_t i = 0; i < kPoints; ++i) rank[order[i].second] = i;
    UpsertBatch batch;
    for (uint64_t id = 0; id < kPoints; ++id) {
      batch.ids.push_back(PointId(id));
      batch.payloads.push_back(absl::StrCat("{\"any\":", any[id], ",\"rank\":", rank[id], "}"));
    }
    batch.vectors = FloatView(rows);
    ASSERT_TRUE(engine_->Upsert("c", batch).ok());
    for (const char* key : {"any", "rank"}) {
      const auto built =
          Await(engine_->CreatePayloadIndex("c", {FieldPath(key), PayloadIndexType::kInteger}));
      ASSERT_EQ(built->state, OperationState::kSucceeded) << built->error;
    }
    Train("c", kLists);
    const Matrix others = ClusteredRows(kQueries, kDimension, 2);
    for (size_t q = 0; q < kQueries; ++q) {
      const auto from = q % 2 == 0 ? others.row(q) : rows.row(order[q].second);
      std::copy(from.begin(), from.end(), queries_.row(q).begin());
    }
  }

  // The queries by so many lists, comparing all that they hold; 0: exactly.
  std::vector<std::vector<Hit>> Find(const Filter& filter, uint32_t nprobe) {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries_);
    request.limit = kLimit;
    request.filter = filter;
    request.exact = nprobe == 0;
    request.nprobe = nprobe;
    request.rerank = kPoints;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return std::vector<std::vector<Hit>>(kQueries);
    plan_ = result->report.plan;
    return std::move(result->hits);
  }

  bool IsNearer(const Hit& a, const Hit& b) const {
    return GetParam().metric == Metric::kL2 ? a.score < b.score : a.score > b.score;
  }
  static size_t Found(const std::vector<Hit>& hits, const std::vector<Hit>& truth) {
    const std::vector<uint64_t> nearest = Ids(truth);
    return static_cast<size_t>(std::ranges::count_if(
        Ids(hits), [&](uint64_t id) { return std::ranges::find(nearest, id) != nearest.end(); }));
  }

  void ExpectMoreProbesFindMore(const Filter& filter, SearchPlan plan) {
    const std::vector<std::vector<Hit>> truth = Find(filter, 0);
    std::vector<std::vector<Hit>> before = Find(filter, 1);
    EXPECT_EQ(plan_, plan);
    for (size_t q = 0; q < kQueries; ++q) missed_ += kLimit - Found(before[q], truth[q]);
    for (uint32_t nprobe = 2; nprobe <= kLists; nprobe += 1 + nprobe / 8) {
      const std::vector<std::vector<Hit>> now = Find(filter, nprobe);
      EXPECT_EQ(plan_, plan);
      for (size_t q = 0; q < kQueries; ++q) {
        SCOPED_TRACE(absl::StrCat("query ", q, ", nprobe ", nprobe));
        ASSERT_EQ(before[q].size(), kLimit);
        ASSERT_EQ(now[q].size(), kLimit);
        EXPECT_GE(Found(now[q], truth[q]), Found(before[q], truth[q]));
        // Nor is any place taken by something farther away.
        for (size_t i = 0; i < kLimit; ++i) EXPECT_FALSE(IsNearer(before[q][i], now[q][i]));
      }
      if (HasFailure()) return;
      before = now;
    }
    const std::vector<std::vector<Hit>> all = Find(filter, kLists);
    for (size_t q = 0; q < kQueries; ++q) EXPECT_EQ(Ids(all[q]), Ids(truth[q]));
  }

  Matrix queries_{kQueries, kDimension};
  size_t missed_ = 0;                     // by searches of one list
  SearchPlan plan_ = SearchPlan::kExact;  // of the last search
};

Filter Within(const std::string& key, size_t begin, size_t end) {
  return Must(
      Where(key, NumberRange{{.lt = static_cast<Number>(end), .gte = static_cast<Number>(begin)}}));
}

TEST_P(ProbesModelTest, MoreProbesNeverLowerTheRecallOfAnyQuery) {
  Fill();
  ExpectMoreProbesFindMore({}, SearchPlan::kLists);
  const size_t some = GetParam().matching;
  // A filter that tells nothing of where points are, one that goes with half of the queries, and
  // one that goes against them.
  for (const Filter& filter :
       {Within("any", 0, some), Within("rank", 0, some), Within("rank", kPoints - some, kPoints)}) {
    ExpectMoreProbesFindMore(filter, SearchPlan::kMaskedLists);
  }
  EXPECT_GT(missed_, kQueries) << "one list holds nearly everything: this shows nothing";
}

INSTANTIATE_TEST_SUITE_P(Variants, ProbesModelTest,
                         testing::Values(Variant{Metric::kL2, VectorPlacement::kMemory, 4'000},
                                         Variant{Metric::kInnerProduct, VectorPlacement::kMemory,
                                                 4'000},
                                         Variant{Metric::kCosine, VectorPlacement::kMemory, 4'000},
                                         Variant{Metric::kL2, VectorPlacement::kDisk, 400},
                                         Variant{Metric::kCosine, VectorPlacement::kDisk, 400}),
                         [](const auto& info) {
                           const Metric metric = info.param.metric;
                           return absl::StrCat(
                               metric == Metric::kL2             ? "L2"
                               : metric == Metric::kInnerProduct ? "InnerProduct"
                                                                 : "Cosine",
                               info.param.vectors == VectorPlacement::kMemory ? "Memory" : "Disk");
                         });

}  // namespace
}  // namespace tessera
