// Random filters on a collection that changes at random, compared with the evaluation of every
// payload: by whatever indexes there are, before and after trainings, restarts and writes.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "server/filter/check.h"
#include "server/filter/evaluate.h"
#include "server/filter/json_value.h"
#include "server/fsck/fsck.h"
#include "tests/environment.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/filter/random_filters.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 8;
constexpr size_t kLimit = 10;
constexpr size_t kDeletionStep = 3;  // so that most deletions by filter leave records for a while
constexpr const char* kKeys[] = {"k", "i", "f", "d", "b", "o.k", "one", "day", "free"};

class FilterModelTest : public EngineFixture, public testing::WithParamInterface<VectorPlacement> {
 protected:
  struct Point {
    std::vector<int> vector;
    nlohmann::json payload;
  };
  using Points = std::map<uint64_t, Point>;

  void SetUp() override {
    engine_options_.deletion_step_points = kDeletionStep;
    EngineFixture::SetUp();
    Create("c", kDimension, Metric::kL2, ElementType::kInt8, GetParam());
  }

  size_t Below(size_t n) { return random_() % n; }
  // Of whole numbers, so that distances are exact; many points are equally far.
  std::vector<int> Vector() {
    std::vector<int> vector(kDimension);
    for (int& value : vector) value = static_cast<int>(Below(7)) - 3;
    return vector;
  }
  static float Distance(const std::vector<int>& a, const std::vector<int>& b) {
    int sum = 0;
    for (size_t j = 0; j < kDimension; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return static_cast<float>(sum);
  }

  void Upsert() {
    std::map<uint64_t, Point> some;
    for (size_t n = 1 + Below(60); n > 0; --n) some[Below(400)] = {Vector(), filters_.Payload()};
    UpsertBatch batch;
    Matrix rows(some.size(), kDimension);
    for (const auto& [id, point] : some) {
      std::copy(point.vector.begin(), point.vector.end(), rows.row(batch.ids.size()).begin());
      batch.ids.push_back(PointId(id));
      batch.payloads.push_back(point.payload.is_null() ? "" : point.payload.dump());
      points_[id] = point;
    }
    batch.vectors = FloatView(rows);
    const auto result = engine_->Upsert("c", batch);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  void Delete() {
    std::vector<PointId> ids;
    for (size_t n = Below(20); n > 0; --n) ids.push_back(PointId(uint64_t{Below(400)}));
    if (ids.empty()) return;
    ASSERT_TRUE(engine_->DeletePoints("c", ids, {}).ok());
    for (const PointId& id : ids) points_.erase(std::get<uint64_t>(id));
  }
  void DeleteSomeByFilter() {
    const Filter filter = AnyFilter();
    const std::vector<uint64_t> matching = Matching(filter);
    if (TestsNothing(filter) || matching.size() > points_.size() / 4) return;
    const auto deleted = engine_->DeleteByFilter("c", filter, {});
    ASSERT_TRUE(deleted.ok()) << deleted.status();
    EXPECT_EQ(deleted->points, matching.size());
    for (uint64_t id : matching) points_.erase(id);
    large_deletions_ += matching.size() > kDeletionStep;
  }
  // Of any type: what a field holds need not be what its index expects.
  void ChangeIndexes() {
    const std::string key = kKeys[Below(std::size(kKeys))];
    if (indexed_.erase(key) > 0) {
      ASSERT_TRUE(engine_->DropPayloadIndex("c", key).ok());
      return;
    }
    const auto type = static_cast<PayloadIndexType>(1 + Below(5));
    const auto operation = Await(engine_->CreatePayloadIndex("c", {FieldPath(key), type}));
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
    indexed_.insert(key);
  }

  void TrainAnew() {
    const auto kept = engine_->ListCodebooks("c");
    ASSERT_TRUE(kept.ok()) << kept.status();
    for (const CodebookInfo& info : *kept) {
      if (!info.current) {
        ASSERT_TRUE(engine_->DeleteCodebook("c", info.version).ok());
      }
    }
    Train("c", 4 + static_cast<uint32_t>(Below(12)));
  }

  // Kills the server: the store stays as it is at this moment. What is stored of the indexes is
  // what the payloads say, before a clean end and after it, and after a kill.
  void KillAndRestart() {
    if (Below(2) == 0) {
      ASSERT_TRUE(store_->Checkpoint(directory_ + "/copy").ok());
      ASSERT_TRUE(engine_->Close().ok());
      engine_.reset();
      std::filesystem::remove_all(directory_ + "/store");
      std::filesystem::rename(directory_ + "/copy", directory_ + "/store");
    } else {
      ASSERT_TRUE(engine_->Close().ok());
      engine_.reset();
    }
    const auto report = CheckDataDirectory(directory_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
    Open();
  }

  Filter AnyFilter() {
    Filter filter = Below(3) == 0 ? filters_.OnOneField() : filters_.MakeFilter(2);
    EXPECT_FALSE(CheckFilter(&filter).has_value());
    return filter;
  }
  std::vector<uint64_t> Matching(const Filter& filter) const {
    std::vector<uint64_t> ids;
    for (const auto& [id, point] : points_) {
      if (Matches(filter, id, point.payload)) ids.push_back(id);
    }
    return ids;
  }

  SearchResult Find(const std::vector<int>& query, const Filter& filter, bool exact,
                    uint32_t nprobe) {
    std::vector<int8_t> row(query.begin(), query.end());
    SearchRequest request;
    request.collection = "c";
    request.vectors = {reinterpret_cast<const std::byte*>(row.data()), ElementType::kInt8, 1,
                       kDimension};
    request.limit = kLimit;
    request.filter = filter;
    request.exact = exact;
    request.nprobe = nprobe;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }
  void CompareSearches(const Filter& filter, const std::vector<uint64_t>& matching) {
    const std::vector<int> query = Vector();
    std::vector<std::pair<float, uint64_t>> truth;
    for (uint64_t id : matching) truth.emplace_back(Distance(query, points_[id].vector), id);
    std::sort(truth.begin(), truth.end());
    truth.resize(std::min(truth.size(), kLimit));
    const auto places = [&](const SearchResult& found) {
      std::vector<std::pair<float, uint64_t>> list;
      for (const Hit& hit : found.hits.at(0)) {
        list.emplace_back(hit.score, std::get<uint64_t>(hit.id));
      }
      return list;
    };
    const SearchResult exact = Find(query, filter, true, 0);
    EXPECT_EQ(places(exact), truth);
    EXPECT_TRUE(exact.report.exhausted);
    for (const uint32_t nprobe : {0u, 1u}) {
      const auto found = places(Find(query, filter, false, nprobe));
      EXPECT_EQ(found.size(), truth.size()) << "as many as there can be, nprobe " << nprobe;
      EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
      for (const auto& [score, id] : found) {
        EXPECT_TRUE(std::binary_search(matching.begin(), matching.end(), id)) << id;
        EXPECT_EQ(score, Distance(query, points_[id].vector));
      }
      EXPECT_EQ(std::adjacent_find(found.begin(), found.end()), found.end());
    }
  }
  void CompareScroll(const Filter& filter, const std::vector<uint64_t>& matching) {
    std::vector<uint64_t> ids;
    std::string token;
    do {
      ElementType type;
      const auto page = engine_->ScrollPoints("c", 37, token, filter, {}, &type);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const PointData& point : page->points) ids.push_back(std::get<uint64_t>(point.id));
      token = page->next_page_token;
    } while (!token.empty());
    EXPECT_EQ(ids, matching);
  }
  void CompareFacet(const Filter& filter, const std::vector<uint64_t>& matching) {
    const FieldPath key(kKeys[Below(std::size(kKeys))]);
    std::map<FacetValue, uint64_t> truth;
    for (uint64_t id : matching) {
      std::set<FacetValue> values;
      for (const nlohmann::json* value : key.Find(points_[id].payload).values) {
        if (value->is_string()) values.insert(value->get<std::string>());
        if (value->is_boolean()) values.insert(value->get<bool>());
        if (const auto integer = AsInteger(*value)) values.insert(*integer);
      }
      for (const FacetValue& value : values) ++truth[value];
    }
    std::vector<FacetCount> expected;
    for (const auto& [value, points] : truth) expected.push_back({value, points});
    std::stable_sort(expected.begin(), expected.end(),
                     [](const FacetCount& a, const FacetCount& b) { return a.points > b.points; });
    std::vector<FacetCount> counts;
    FacetRequest request{"c", key, filter, 1 + Below(40), ""};
    do {
      const auto facet = engine_->Facet(request);
      ASSERT_TRUE(facet.ok()) << facet.status();
      EXPECT_LE(facet->counts.size(), request.limit);
      counts.insert(counts.end(), facet->counts.begin(), facet->counts.end());
      request.page_token = facet->next_page_token;
    } while (!request.page_token.empty());
    EXPECT_EQ(counts, expected) << key.text();
  }
  void Compare() {
    for (int i = 0; i < 6; ++i) {
      const Filter filter = AnyFilter();
      const std::vector<uint64_t> matching = Matching(filter);
      matched_some_ += !matching.empty();
      const auto count = engine_->CountPoints("c", filter);
      ASSERT_TRUE(count.ok()) << count.status();
      EXPECT_EQ(*count, matching.size());
      const auto estimate = engine_->EstimatePoints("c", filter);
      ASSERT_TRUE(estimate.ok()) << estimate.status();
      EXPECT_LE(estimate->points_min, matching.size());
      EXPECT_GE(estimate->points_max, matching.size());
      CompareScroll(filter, matching);
      CompareSearches(filter, matching);
      CompareFacet(filter, matching);
      if (HasFailure()) return;
    }
  }

  const uint64_t seed_ = FromEnvironment("TESSERA_MODEL_SEED", 1);
  std::mt19937 random_{static_cast<uint32_t>(seed_)};
  RandomFilters filters_{static_cast<uint32_t>(seed_)};
  Points points_;
  std::set<std::string> indexed_;
  size_t matched_some_ = 0;
  size_t large_deletions_ = 0;
};

TEST_P(FilterModelTest, FiltersMeanTheSameWhateverHasHappened) {
  SCOPED_TRACE(absl::StrCat("TESSERA_MODEL_SEED=", seed_));
  for (int i = 0; i < 8; ++i) Upsert();
  for (int step = 0; step < 300 && !HasFailure(); ++step) {
    const size_t choice = Below(100);
    if (choice < 30) {
      Upsert();
    } else if (choice < 40) {
      Delete();
    } else if (choice < 50) {
      DeleteSomeByFilter();
    } else if (choice < 65) {
      ChangeIndexes();
    } else if (choice < 67 && points_.size() > 100) {
      TrainAnew();
    } else if (choice < 72) {
      KillAndRestart();
    } else {
      Compare();
    }
  }
  EXPECT_GT(matched_some_, 100u) << "the filters are too narrow to tell anything";
  EXPECT_GT(large_deletions_, 3u);
}

INSTANTIATE_TEST_SUITE_P(Vectors, FilterModelTest,
                         testing::Values(VectorPlacement::kMemory, VectorPlacement::kDisk),
                         [](const auto& info) {
                           return info.param == VectorPlacement::kMemory ? "Memory" : "Disk";
                         });

}  // namespace
}  // namespace tessera
