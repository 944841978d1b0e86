// Every plan of a filtered search, and every way from one to another, against brute force.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 16;
constexpr size_t kPoints = 120'000;
constexpr size_t kLimit = 10;
// Of points that match: compared all, gathered by list from the first search on, only from the
// second on, and too many to be gathered.
constexpr uint64_t kFew = 12;
constexpr uint64_t kSome = 5'000;
constexpr uint64_t kMore = 20'500;
constexpr uint64_t kMany = 60'000;

// Point i has two numbers: "any", which tells nothing of where it is, and "rank", its place by the
// distance from one point, near which the queries are.
class EnginePlan : public EngineFixture {
 protected:
  void Fill(VectorPlacement placement, size_t points, uint32_t nlist) {
    Create("c", kDimension, Metric::kL2, ElementType::kInt8, placement);
    const Matrix floats = ClusteredRows(points, kDimension, 1);
    vectors_.resize(points * kDimension);
    for (size_t i = 0; i < vectors_.size(); ++i) {
      vectors_[i] =
          static_cast<int8_t>(std::clamp(std::round(8 * floats.data()[i]), -127.f, 127.f));
    }
    std::vector<std::pair<int64_t, uint64_t>> order;
    for (uint64_t id = 0; id < points; ++id) order.emplace_back(Distance(Row(0), id), id);
    std::sort(order.begin(), order.end());
    rank_.resize(points);
    for (size_t i = 0; i < points; ++i) rank_[order[i].second] = i;
    for (size_t i = 0; i < 8; ++i) queries_.push_back(order[5 * i].second);
    any_.resize(points);
    for (size_t i = 0; i < points; ++i) any_[i] = i;
    std::shuffle(any_.begin(), any_.end(), std::mt19937(3));
    alive_.assign(points, true);
    constexpr size_t kChunk = 10'000;
    for (uint64_t begin = 0; begin < points; begin += kChunk) {
      UpsertBatch batch;
      const size_t rows = std::min(kChunk, points - begin);
      for (uint64_t id = begin; id < begin + rows; ++id) {
        batch.ids.push_back(PointId(id));
        batch.payloads.push_back(absl::StrCat("{\"any\":", any_[id], ",\"rank\":", rank_[id], "}"));
      }
      batch.vectors = {reinterpret_cast<const std::byte*>(&vectors_[begin * kDimension]),
                       ElementType::kInt8, rows, kDimension};
      ASSERT_TRUE(engine_->Upsert("c", batch).ok());
    }
    for (const char* key : {"any", "rank"}) {
      auto built =
          Await(engine_->CreatePayloadIndex("c", {FieldPath(key), PayloadIndexType::kInteger}));
      ASSERT_EQ(built->state, OperationState::kSucceeded) << built->error;
    }
    Train("c", nlist);
  }

  // But none of the queries. Of what the filters say, others stay.
  void DeleteAThird() {
    std::vector<PointId> gone;
    for (uint64_t id = 0; id < alive_.size(); id += 3) {
      if (std::count(queries_.begin(), queries_.end(), id) > 0) continue;
      alive_[id] = false;
      gone.push_back(PointId(id));
    }
    ASSERT_EQ(engine_->DeletePoints("c", gone, {})->points, gone.size());
  }

  std::span<const int8_t> Row(uint64_t id) const {
    return {&vectors_[id * kDimension], kDimension};
  }
  int64_t Distance(std::span<const int8_t> query, uint64_t id) const {
    int64_t distance = 0;
    for (size_t j = 0; j < kDimension; ++j) {
      const int64_t d = int64_t{query[j]} - Row(id)[j];
      distance += d * d;
    }
    return distance;
  }

  // A filter that no search has asked before: its bounds differ by less than what a number is.
  Filter Between(const std::string& key, uint64_t begin, uint64_t end) {
    const double unlike = 0.001 * static_cast<double>(++filters_ % 400);
    return Must(Where(key, NumberRange{{.lt = static_cast<double>(end) - 0.5 + unlike,
                                        .gte = static_cast<double>(begin) - 0.5 + unlike}}));
  }
  bool Matches(const Filter& filter, uint64_t id) const {
    const auto holds = [&](const Condition& condition) {
      const auto& field = std::get<FieldCondition>(condition.kind);
      const uint64_t value = field.key.text() == "any" ? any_[id] : rank_[id];
      if (const auto* match = std::get_if<Match>(&field.test)) {
        return std::binary_search(match->integers.begin(), match->integers.end(),
                                  static_cast<int64_t>(value));
      }
      return std::get<NumberRange>(field.test).bounds.Contain(static_cast<double>(value));
    };
    return alive_[id] && std::all_of(filter.must.begin(), filter.must.end(), holds) &&
           std::none_of(filter.must_not.begin(), filter.must_not.end(), holds);
  }
  uint64_t CountMatches(const Filter& filter) const {
    uint64_t count = 0;
    for (uint64_t id = 0; id < alive_.size(); ++id) count += Matches(filter, id) ? 1 : 0;
    return count;
  }
  // The ids and distances of the nearest that match.
  std::vector<std::pair<int64_t, uint64_t>> Truth(uint64_t query, const Filter& filter,
                                                  size_t limit) const {
    std::vector<std::pair<int64_t, uint64_t>> all;
    for (uint64_t id = 0; id < alive_.size(); ++id) {
      if (Matches(filter, id)) all.emplace_back(Distance(Row(query), id), id);
    }
    std::sort(all.begin(), all.end());
    if (all.size() > limit) all.resize(limit);
    return all;
  }

  SearchResult Find(const std::vector<uint64_t>& queries, const Filter& filter, size_t limit,
                    bool exact = false, uint32_t nprobe = 0) {
    std::vector<int8_t> rows;
    for (uint64_t query : queries) rows.insert(rows.end(), Row(query).begin(), Row(query).end());
    SearchRequest request;
    request.collection = "c";
    request.vectors = {reinterpret_cast<const std::byte*>(rows.data()), ElementType::kInt8,
                       queries.size(), kDimension};
    request.limit = limit;
    request.filter = filter;
    request.exact = exact;
    request.nprobe = nprobe;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }
  // Checks that hits match, are ordered and as many as there can be; returns the share of the true
  // neighbours, by their distances, among them.
  double Recall(uint64_t query, const Filter& filter, size_t limit, const std::vector<Hit>& hits) {
    const auto truth = Truth(query, filter, limit);
    EXPECT_EQ(hits.size(), truth.size());
    std::set<uint64_t> ids;
    size_t found = 0;
    std::pair<float, uint64_t> last{-1, 0};
    for (const Hit& hit : hits) {
      const uint64_t id = std::get<uint64_t>(hit.id);
      EXPECT_TRUE(Matches(filter, id)) << id;
      EXPECT_TRUE(ids.insert(id).second) << id;
      EXPECT_EQ(hit.score, static_cast<float>(Distance(Row(query), id)));
      EXPECT_TRUE(hit.score_is_exact);
      const std::pair<float, uint64_t> place{hit.score, id};
      EXPECT_LT(last, place);
      last = place;
      found += !truth.empty() && Distance(Row(query), id) <= truth.back().first;
    }
    return truth.empty() ? 1 : static_cast<double>(found) / static_cast<double>(truth.size());
  }
  void ExpectExact(uint64_t query, const Filter& filter, size_t limit,
                   const std::vector<Hit>& hits) {
    std::vector<uint64_t> expected;
    for (const auto& [distance, id] : Truth(query, filter, limit)) expected.push_back(id);
    EXPECT_EQ(Ids(hits), expected);
    EXPECT_EQ(Recall(query, filter, limit, hits), 1);
  }
  // The mean recall of the queries, each with a filter of its own and each asked `times`.
  double MeanRecall(const std::string& key, uint64_t begin, uint64_t end, SearchPlan plan,
                    int times = 1) {
    double sum = 0;
    for (uint64_t query : queries_) {
      const Filter filter = Between(key, begin, end);
      SearchResult found;
      for (int time = 0; time < times; ++time) found = Find({query}, filter, kLimit);
      EXPECT_EQ(found.report.plan, plan) << key << " " << begin << " to " << end;
      sum += Recall(query, filter, kLimit, found.hits[0]);
    }
    return sum / static_cast<double>(queries_.size());
  }

  std::vector<int8_t> vectors_;
  std::vector<uint64_t> any_, rank_, queries_;
  std::vector<bool> alive_;
  uint64_t filters_ = 0;
};

TEST_F(EnginePlan, AnswersAsBruteForceDoesOnEveryPlan) {
  Fill(VectorPlacement::kMemory, kPoints, 512);
  const auto check = [&] {
    const uint64_t last = kPoints;
    for (const char* key : {"any", "rank"}) {
      // 0.01 %, near the queries and far from them: all are compared, also when more are asked for.
      for (const uint64_t begin : {uint64_t{0}, last - kFew}) {
        for (const size_t limit : {kLimit, size_t{100}}) {
          const Filter few = Between(key, begin, begin + kFew);
          const SearchResult found = Find({queries_[1]}, few, limit);
          EXPECT_EQ(found.report.plan, SearchPlan::kExactMatching);
          EXPECT_TRUE(found.report.exhausted);
          ExpectExact(queries_[1], few, limit, found.hits[0]);
        }
      }
      // Whatever the plan would be, `exact` is.
      const Filter many = Between(key, 0, kMany);
      ExpectExact(queries_[2], many, kLimit, Find({queries_[2]}, many, kLimit, true).hits[0]);
    }
    for (int times : {1, 2}) {  // gathered for the one search, then sorted by list
      EXPECT_GE(MeanRecall("any", 0, kSome, SearchPlan::kMaskedLists, times), 0.9);
      EXPECT_GE(MeanRecall("rank", 0, kSome, SearchPlan::kMaskedLists, times), 0.9);
      EXPECT_GE(MeanRecall("rank", last - kSome, last, SearchPlan::kMaskedLists, times), 0.7);
      EXPECT_GE(MeanRecall("any", 0, kMany, SearchPlan::kMaskedLists, times), 0.9);
      EXPECT_GE(MeanRecall("rank", 0, kMany, SearchPlan::kMaskedLists, times), 0.9);
      EXPECT_GE(MeanRecall("rank", kMany, last, SearchPlan::kMaskedLists, times), 0.7);
    }
    EXPECT_GE(MeanRecall("any", 0, kMore, SearchPlan::kMaskedLists), 0.9);
    // The lists near the queries hold none: given up, and all that match are compared.
    EXPECT_EQ(MeanRecall("rank", last - kMore, last, SearchPlan::kExactMatching), 1);
    EXPECT_GE(MeanRecall("rank", last - kMore, last, SearchPlan::kMaskedLists, 2), 0.7);
  };
  check();
  DeleteAThird();
  const Filter few = Between("any", 0, kFew);
  ExpectExact(queries_[0], few, 100, Find({queries_[0]}, few, 100).hits[0]);
  for (int times : {1, 2}) {
    EXPECT_GE(MeanRecall("any", 0, 2 * kSome, SearchPlan::kMaskedLists, times), 0.9);
    EXPECT_GE(MeanRecall("rank", 2 * kSome, 3 * kSome, SearchPlan::kMaskedLists, times), 0.7);
    EXPECT_GE(MeanRecall("any", 0, kMany, SearchPlan::kMaskedLists, times), 0.9);
  }
}

TEST_F(EnginePlan, TheFirstSearchFindsWhatLaterOnesFind) {
  Fill(VectorPlacement::kMemory, kPoints, 512);
  for (const char* key : {"any", "rank"}) {
    for (uint64_t query : queries_) {
      const Filter filter = Between(key, 1'000, 1'000 + kSome);
      const SearchResult first = Find({query}, filter, kLimit);
      const SearchResult second = Find({query}, filter, kLimit);
      EXPECT_EQ(Ids(first.hits[0]), Ids(second.hits[0]));
      EXPECT_EQ(first.report.lists_scanned, second.report.lists_scanned);
      EXPECT_EQ(first.report.candidates_reranked, second.report.candidates_reranked);
      EXPECT_EQ(first.report.codes_scanned, 0u);
    }
  }
}

// Queries that a filter goes with and against, in one request: each gets what it would get alone.
TEST_F(EnginePlan, QueriesOfOneRequestGoTheirOwnWays) {
  Fill(VectorPlacement::kMemory, kPoints, 512);
  std::vector<uint64_t> queries = queries_;
  for (uint64_t id = 0; id < kPoints && queries.size() < 2 * queries_.size(); ++id) {
    if (rank_[id] >= kPoints - 100) queries.push_back(id);
  }
  for (const uint64_t size : {kFew, kSome, kMore, kMany}) {
    const Filter filter = Between("rank", kPoints - size, kPoints);
    const SearchResult found = Find(queries, filter, kLimit);
    ASSERT_EQ(found.hits.size(), queries.size());
    double against = 0;
    double with = 0;
    for (size_t q = 0; q < queries.size(); ++q) {
      double& sum = q < queries_.size() ? against : with;
      sum += Recall(queries[q], filter, kLimit, found.hits[q]);
    }
    EXPECT_GE(against / static_cast<double>(queries_.size()), 0.7) << size;
    EXPECT_GE(with / static_cast<double>(queries_.size()), 0.9) << size;
  }
}

// Asked for more than match, or with one list probed: the search goes on through the lists until it
// has them all.
TEST_F(EnginePlan, ReturnsAllThatMatchIfMoreAreAskedFor) {
  for (const VectorPlacement placement : {VectorPlacement::kMemory, VectorPlacement::kDisk}) {
    Fill(placement, 12'000, 64);
    for (const char* key : {"any", "rank"}) {
      for (const uint64_t size : {uint64_t{300}, kSome}) {
        for (const uint32_t nprobe : {0u, 1u}) {
          const Filter filter = Between(key, 12'000 - size, 12'000);
          const SearchResult found = Find({queries_[0]}, filter, size + 100, false, nprobe);
          EXPECT_EQ(found.hits[0].size(), size);
          EXPECT_TRUE(found.report.exhausted);
          ExpectExact(queries_[0], filter, size + 100, found.hits[0]);
        }
      }
    }
    ASSERT_TRUE(engine_->DeleteCollection("c").ok());
    queries_.clear();
  }
}

// Conditions on two fields at once. How many match is told by the one that few meet, or else by an
// estimate, and exactly when the filter is asked again.
TEST_F(EnginePlan, SeveralConditionsAreToldByTheCodesOfTheirFields) {
  Fill(VectorPlacement::kMemory, kPoints, 512);
  struct Case {
    uint64_t any, rank;
    bool rank_negated;
    bool is_estimate;
    double recall_min;
  };
  const auto check = [&](const Case& c) {
    double sum = 0;
    for (uint64_t query : queries_) {
      Filter filter = Between("any", 0, c.any);
      const Filter rank = Between("rank", 0, c.rank);
      (c.rank_negated ? filter.must_not : filter.must).push_back(rank.must[0]);
      const uint64_t matching = CountMatches(filter);
      const SearchResult first = Find({query}, filter, kLimit);
      const SearchResult second = Find({query}, filter, kLimit);
      const auto told = static_cast<double>(first.report.matching);
      if (c.is_estimate) {
        EXPECT_NEAR(told, static_cast<double>(matching), 0.2 * static_cast<double>(matching));
      } else {
        EXPECT_EQ(first.report.matching, matching);
      }
      EXPECT_EQ(second.report.matching, matching);
      EXPECT_TRUE(first.report.unindexed.empty());
      EXPECT_FALSE(c.is_estimate && first.report.exhausted);
      sum += Recall(query, filter, kLimit, first.hits[0]);
      Recall(query, filter, kLimit, second.hits[0]);
      ExpectExact(query, filter, kLimit, Find({query}, filter, kLimit, true).hits[0]);
    }
    EXPECT_GE(sum / static_cast<double>(queries_.size()), c.recall_min)
        << c.any << " and " << (c.rank_negated ? "not " : "") << c.rank;
  };
  const Case cases[] = {
      {kMany, kMany, false, true, 0.9},  // half of a half
      {2 * kMany / 3, 3 * kMany / 2, false, true, 0.9},
      {kMany, kMany, true, true, 0.7},    // and the other half, against the queries
      {kMore, kMany, false, false, 0.9},  // the first condition is met by few enough to list
      {kMany, kMore, false, false, 0.9},
      {kMore, kMany, true, false, 0.7},
      {kMany, kFew, false, false, 1},
      {kFew, kMany, false, false, 1},
  };
  for (const Case& c : cases) check(c);
  DeleteAThird();
  for (const Case& c : cases) {
    // A sample counts slots that have just lost their points.
    if (!c.is_estimate) check(c);
  }
}

// Conditions that exclude each other, that list many values, and of which few lists are asked for.
TEST_F(EnginePlan, SeveralConditionsOfEveryKindFindAllThatThereIs) {
  Fill(VectorPlacement::kMemory, kPoints, 512);
  // None, although both are met by many.
  Filter none = Between("any", 0, kMany);
  none.must_not.push_back(none.must[0]);
  const SearchResult found = Find({queries_[0]}, none, kLimit);
  EXPECT_TRUE(found.hits[0].empty());
  EXPECT_EQ(found.report.matching, 0u);
  // More values are listed, each of a point of its own, than codes tell apart.
  Match listed;
  for (uint64_t value = 0; value < kMany; value += 8) {
    listed.integers.push_back(static_cast<int64_t>(value));
  }
  ASSERT_GT(listed.integers.size(), 4'096u);
  Filter values = Between("rank", 0, kMany);
  values.must.push_back({FieldCondition{FieldPath("any"), listed}});
  double recall = 0;
  for (uint64_t query : queries_) {
    const SearchResult by_values = Find({query}, values, kLimit);
    EXPECT_EQ(by_values.report.matching, CountMatches(values));
    recall += Recall(query, values, kLimit, by_values.hits[0]);
  }
  EXPECT_GE(recall / static_cast<double>(queries_.size()), 0.9);
  // Few lists are asked for, and more hits than they hold.
  Filter both = Between("any", 0, kMany);
  both.must.push_back(Between("rank", 0, kMany).must[0]);
  EXPECT_EQ(Find({queries_[0]}, both, 5'000, false, 1).hits[0].size(), 5'000u);
}

}  // namespace
}  // namespace tessera
