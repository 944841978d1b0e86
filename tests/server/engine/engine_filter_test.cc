// Filtered searches and payload indexes of an engine, against brute force over the payloads.
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 16;
constexpr size_t kPoints = 3000;

class EngineFilter : public EngineFixture {
 protected:
  // Point i: group g<i % 7>, its number, every third has tags, every fifth nothing at all.
  static std::string Payload(uint64_t id) {
    if (id % 5 == 4) return "";
    nlohmann::json payload = {{"group", "g" + std::to_string(id % 7)}, {"number", id}};
    if (id % 3 == 0) payload["tags"] = {"t" + std::to_string(id % 2), "odd"};
    return payload.dump();
  }
  static UpsertBatch Batch(uint64_t begin, const Matrix& rows, uint64_t payload_shift = 0) {
    UpsertBatch batch;
    for (size_t i = 0; i < rows.rows(); ++i) {
      batch.ids.push_back(PointId(begin + i));
      batch.payloads.push_back(Payload(begin + i + payload_shift));
    }
    batch.vectors = FloatView(rows);
    return batch;
  }
  void Fill(VectorPlacement placement = VectorPlacement::kMemory) {
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, placement);
    rows_ = ClusteredRows(kPoints, kDimension, 1);
    ASSERT_TRUE(engine_->Upsert("c", Batch(0, rows_)).ok());
  }
  SearchResult SearchWith(const Filter& filter, const Matrix& queries, size_t limit,
                          bool exact = false) {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries);
    request.limit = limit;
    request.filter = filter;
    request.exact = exact;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }
  // The ids of the `limit` nearest among those that `matches` takes.
  template <class Matches>
  std::vector<uint64_t> Truth(std::span<const float> query, size_t limit, Matches matches) const {
    std::vector<std::pair<float, uint64_t>> scored;
    for (uint64_t id = 0; id < rows_.rows(); ++id) {
      if (!matches(id)) continue;
      double distance = 0;
      for (size_t j = 0; j < kDimension; ++j) {
        const double d = query[j] - rows_.row(id)[j];
        distance += d * d;
      }
      scored.emplace_back(static_cast<float>(distance), id);
    }
    std::sort(scored.begin(), scored.end());
    if (scored.size() > limit) scored.resize(limit);
    std::vector<uint64_t> ids;
    for (const auto& [distance, id] : scored) ids.push_back(id);
    return ids;
  }

  Matrix rows_;
};

TEST_F(EngineFilter, FindsTheNearestOfThoseThatMatchWithAndWithoutIndex) {
  Fill();
  const Matrix queries = ClusteredRows(10, kDimension, 2);
  const Filter group = Must(Where("group", Keywords({"g3"})));
  const Filter few = Must(Where("number", NumberRange{{.lt = 6}}));
  const auto in_group = [](uint64_t id) { return id % 7 == 3 && id % 5 != 4; };
  const auto in_few = [](uint64_t id) { return id < 6 && id % 5 != 4; };
  const auto check = [&](bool indexed) {
    const SearchResult by_group = SearchWith(group, queries, 10, /*exact=*/true);
    const SearchResult by_few = SearchWith(few, queries, 10);
    for (size_t q = 0; q < queries.rows(); ++q) {
      EXPECT_EQ(Ids(by_group.hits[q]), Truth(queries.row(q), 10, in_group));
      EXPECT_EQ(Ids(by_few.hits[q]), Truth(queries.row(q), 10, in_few));
      EXPECT_EQ(by_few.hits[q].size(), 5u) << "all that match";
    }
    EXPECT_EQ(by_few.report.matching, 5u);
    EXPECT_TRUE(by_few.report.exhausted);
    EXPECT_EQ(by_few.report.unindexed.empty(), indexed);
    EXPECT_EQ(by_few.report.payloads_read == 0, indexed);
    EXPECT_EQ(*engine_->CountPoints("c", few), 5u);
  };
  check(false);
  Index("group", PayloadIndexType::kKeyword);
  Index("number", PayloadIndexType::kInteger);
  check(true);
  Train("c", 16);
  check(true);
  Reopen();
  check(true);
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "group").ok());
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "number").ok());
  check(false);
  Reopen();
  check(false);
}

TEST_F(EngineFilter, FollowsWritesAndDeletions) {
  Fill(VectorPlacement::kDisk);
  Index("group", PayloadIndexType::kKeyword);
  const Matrix queries = ClusteredRows(3, kDimension, 3);
  // A thousand get the payload of their successor, two hundred go, and some come twice in a group.
  Matrix changed(1000, kDimension);
  std::copy_n(rows_.data(), changed.rows() * kDimension, changed.data());
  ASSERT_TRUE(engine_->Upsert("c", Batch(0, changed, 1)).ok());
  std::vector<PointId> gone;
  for (uint64_t id = 900; id < 1100; ++id) gone.push_back(PointId(id));
  ASSERT_TRUE(engine_->DeletePoints("c", gone, {}).ok());
  const auto matches = [](uint64_t id) {
    if (id >= 900 && id < 1100) return false;
    const uint64_t n = id < 1000 ? id + 1 : id;
    return n % 7 == 2 && n % 5 != 4;
  };
  const Filter filter = Must(Where("group", Keywords({"g2"})));
  for (int round = 0; round < 2; ++round) {
    const SearchResult result = SearchWith(filter, queries, 20);
    EXPECT_TRUE(result.report.unindexed.empty());
    for (size_t q = 0; q < queries.rows(); ++q) {
      EXPECT_EQ(Ids(result.hits[q]), Truth(queries.row(q), 20, matches));
    }
    Reopen();
  }
}

TEST_F(EngineFilter, BuildsAnIndexWhileWritesGoOn) {
  Fill();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t round = 0; !stop; ++round) {
      Matrix some(20, kDimension);
      const uint64_t begin = round * 20 % kPoints;
      std::copy_n(rows_.row(begin).data(), 20 * kDimension, some.data());
      EXPECT_TRUE(engine_->Upsert("c", Batch(begin, some)).ok());
      if (round % 3 == 0) {
        EXPECT_TRUE(engine_->DeletePoints("c", {PointId(begin)}, {}).ok());
        Matrix again(1, kDimension);
        std::copy_n(rows_.row(begin).data(), kDimension, again.data());
        EXPECT_TRUE(engine_->Upsert("c", Batch(begin, again)).ok());
      }
    }
  });
  for (int round = 0; round < 5; ++round) {
    Index("group", PayloadIndexType::kKeyword);
    if (round < 4) {
      EXPECT_TRUE(engine_->DropPayloadIndex("c", "group").ok());
    }
  }
  stop = true;
  writer.join();
  const Filter filter = Must(Where("group", Keywords({"g1"})));
  const Matrix queries = ClusteredRows(3, kDimension, 4);
  const SearchResult result = SearchWith(filter, queries, 15);
  EXPECT_EQ(result.report.payloads_read, 0u);
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(Ids(result.hits[q]),
              Truth(queries.row(q), 15, [](uint64_t id) { return id % 7 == 1 && id % 5 != 4; }));
  }
}

TEST_F(EngineFilter, CombinesIndexedAndOtherFieldsAndIds) {
  Fill();
  Index("group", PayloadIndexType::kKeyword);
  Filter filter;
  filter.must = {Where("group", Keywords({"g0", "g1"})), Where("tags", Keywords({"t1"}))};
  filter.must_not = {{HasId{{FilterId(uint64_t{15}), FilterId(uint64_t{21})}}}};
  const auto matches = [](uint64_t id) {
    return id % 7 < 2 && id % 5 != 4 && id % 3 == 0 && id % 2 == 1 && id != 15 && id != 21;
  };
  const Matrix queries = ClusteredRows(3, kDimension, 5);
  const SearchResult result = SearchWith(filter, queries, 10);
  EXPECT_EQ(result.report.unindexed, std::vector<std::string>{"tags"});
  EXPECT_LT(result.report.payloads_read, kPoints / 2);
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(Ids(result.hits[q]), Truth(queries.row(q), 10, matches));
  }
}

// Many points match, so lists are searched: in memory by the lists of what matches, on disk under a
// mask, and in both as many hits as are asked for.
TEST_F(EngineFilter, SearchesListsForWhatMatches) {
  for (const VectorPlacement placement : {VectorPlacement::kMemory, VectorPlacement::kDisk}) {
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, placement);
    rows_ = ClusteredRows(9000, kDimension, 1);
    ASSERT_TRUE(engine_->Upsert("c", Batch(0, rows_)).ok());
    Index("number", PayloadIndexType::kInteger);
    Train("c", 64);
    const Matrix queries = ClusteredRows(40, kDimension, 2);
    for (const double share : {0.5, 0.9}) {
      const double end = share * 9000;
      const Filter filter = Must(Where("number", NumberRange{{.lt = end}}));
      const SearchResult found = SearchWith(filter, queries, 10);
      EXPECT_EQ(found.report.plan, SearchPlan::kMaskedLists);
      EXPECT_GT(found.report.lists_scanned, 0u);
      size_t common = 0;
      for (size_t q = 0; q < queries.rows(); ++q) {
        const auto truth = Truth(queries.row(q), 10, [&](uint64_t id) {
          return static_cast<double>(id) < end && id % 5 != 4;
        });
        const auto ids = Ids(found.hits[q]);
        ASSERT_EQ(ids.size(), 10u);
        for (uint64_t id : ids) {
          EXPECT_TRUE(static_cast<double>(id) < end && id % 5 != 4) << id;
          common += static_cast<size_t>(std::count(truth.begin(), truth.end(), id));
        }
      }
      EXPECT_GE(static_cast<double>(common), 0.95 * 10 * static_cast<double>(queries.rows()));
    }
    // With one list probed, the search still goes on until it has what was asked for.
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries);
    request.limit = 500;
    request.nprobe = 1;
    request.filter = Must(Where("number", NumberRange{{.lt = 6000}}));
    const auto wide = engine_->Search(request);
    for (const auto& hits : wide->hits) EXPECT_EQ(hits.size(), 500u);
    ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  }
}

// A part of the points, whose vectors are fewer bytes than all codes: those in the lists near the
// query are compared, no codes are scanned, and a filter against the query finds the right ones
// too.
TEST_F(EngineFilter, ComparesWhatMatchesInNearLists) {
  constexpr size_t kMany = 21'000;
  constexpr size_t kSome = 3'100;
  Create("c", kDimension, Metric::kL2, ElementType::kFloat16);
  rows_ = ClusteredRows(kMany, kDimension, 1);
  ASSERT_TRUE(engine_->Upsert("c", Batch(0, rows_)).ok());
  Train("c", 256);
  const Matrix queries = ClusteredRows(20, kDimension, 2);
  for (const bool against : {false, true}) {
    size_t common = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      // All that match, the nearest first, are the farthest of all, or every sixth.
      std::vector<uint64_t> ids = Truth(queries.row(q), kMany, [](uint64_t) { return true; });
      if (against) {
        ids.erase(ids.begin(), ids.end() - kSome);
      } else {
        for (size_t i = 0; i < kSome; ++i) ids[i] = ids[6 * i];
        ids.resize(kSome);
      }
      Matrix query(1, kDimension);
      std::copy_n(queries.row(q).data(), kDimension, query.data());
      const Filter filter{.must = {{HasId{{ids.begin(), ids.end()}}}}};
      const SearchResult found = SearchWith(filter, query, 10);
      EXPECT_EQ(found.report.plan, SearchPlan::kMaskedLists);
      EXPECT_EQ(found.report.codes_scanned, 0u);
      if (!against) {
        EXPECT_LT(found.report.candidates_reranked, kSome / 2);
      }
      ASSERT_EQ(found.hits[0].size(), 10u);
      for (uint64_t id : Ids(found.hits[0])) {
        common += static_cast<size_t>(std::count(ids.begin(), ids.begin() + 10, id));
      }
    }
    EXPECT_GE(common, 10 * queries.rows() * (against ? 7 : 9) / 10) << "against " << against;
  }
}

TEST_F(EngineFilter, RefusesBadFiltersAndIndexes) {
  Fill();
  SearchRequest request;
  request.collection = "c";
  request.ids = {PointId(uint64_t{1})};
  request.filter = Must(Where("number", NumberRange{}));
  EXPECT_EQ(GetStatusDetails(engine_->Search(request).status()).field, "filter.must[0].range");
  EXPECT_EQ(GetStatusDetails(engine_->CountPoints("c", request.filter).status()).field,
            "filter.must[0].range");
  for (const Filter& nothing :
       {Filter{}, Must({Filter{}}), Must({Filter{.should = {{Filter{}}}}})}) {
    EXPECT_EQ(GetStatusDetails(engine_->DeleteByFilter("c", nothing, {}).status()).field, "filter");
    EXPECT_EQ(*engine_->CountPoints("c", nothing), kPoints);
  }
  const PayloadIndexSpec bad{FieldPath("a..b"), PayloadIndexType::kBool};
  EXPECT_EQ(GetStatusDetails(engine_->CreatePayloadIndex("c", bad).status()).field, "key");
  Index("group", PayloadIndexType::kKeyword);
  const PayloadIndexSpec again{FieldPath("group"), PayloadIndexType::kBool};
  EXPECT_TRUE(absl::IsAlreadyExists(engine_->CreatePayloadIndex("c", again).status()));
  EXPECT_TRUE(absl::IsNotFound(engine_->DropPayloadIndex("c", "number")));
  const auto info = engine_->GetCollection("c");
  ASSERT_EQ(info->payload_indexes.size(), 1u);
  EXPECT_TRUE(info->payload_indexes[0].ready);
  EXPECT_EQ(info->payload_indexes[0].points, kPoints - kPoints / 5);
}

}  // namespace
}  // namespace tessera
