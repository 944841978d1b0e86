// Collections with scalar codes in memory and full vectors on disk.
#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/quantize/scalar_code.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 32;
constexpr size_t kPoints = 2'000;
constexpr size_t kLimit = 10;
constexpr uint32_t kLists = 16;
constexpr uint32_t kRerank = 200;

class EngineScalarCodes : public EngineFixture {
 protected:
  EngineScalarCodes() {
    engine_options_.log = [this](std::string_view line) {
      completed_ += line.ends_with("the scalar codes of its vectors are complete");
    };
  }

  void CreateTrained(const std::string& name, VectorPlacement placement,
                     Metric metric = Metric::kL2, ElementType type = ElementType::kFloat32) {
    Create(name, kDimension, metric, type, placement);
    ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(kPoints, kDimension, 1)).ok());
    Train(name, kLists);
  }
  SearchResult Explained(const std::string& name, const Matrix& queries,
                         uint32_t rerank = kRerank) {
    SearchRequest request;
    request.collection = name;
    request.vectors = FloatView(queries);
    request.limit = kLimit;
    request.nprobe = kLists;
    request.rerank = rerank;
    request.explain = true;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }
  // What is found in all lists among all points is what an exact search finds.
  void ExpectExact(const std::string& name, uint32_t seed) {
    const Matrix queries = ClusteredRows(20, kDimension, seed);
    const SearchResult found = Explained(name, queries, kPoints);
    const SearchResult exact = Search(name, queries, kLimit, /*exact=*/true);
    ASSERT_EQ(found.hits.size(), queries.rows());
    for (size_t q = 0; q < found.hits.size(); ++q) {
      EXPECT_EQ(Ids(found.hits[q]), Ids(exact.hits[q])) << "query " << q;
      for (size_t i = 0; i < found.hits[q].size(); ++i) {
        EXPECT_EQ(found.hits[q][i].score, exact.hits[q][i].score);
        EXPECT_TRUE(found.hits[q][i].score_is_exact);
      }
    }
  }
  // Until every candidate has a code.
  void AwaitCodes(const std::string& name) {
    const Matrix query = ClusteredRows(1, kDimension, 3);
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (Explained(name, query, kPoints).report.candidates_refined < Count(name)) {
      ASSERT_LT(absl::Now(), deadline) << "the codes are not made";
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  // From the next start on.
  absl::Status Place(const std::string& name, VectorPlacement placement) {
    const auto edit = [placement](CollectionSettings* settings) {
      settings->index.vectors = placement;
      return absl::OkStatus();
    };
    return engine_->UpdateCollection(name, edit, std::nullopt).status();
  }
  uint64_t Count(const std::string& name) {
    const auto info = engine_->GetCollection(name);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.ok() ? info->points : 0;
  }

  std::atomic<size_t> completed_{0};
};

TEST_F(EngineScalarCodes, FewVectorsAreReadForTheSameAnswers) {
  CreateTrained("disk", VectorPlacement::kDisk);
  CreateTrained("coded", VectorPlacement::kDiskSq8);
  const Matrix queries = ClusteredRows(50, kDimension, 2);
  const SearchResult read = Explained("disk", queries);
  const SearchResult coded = Explained("coded", queries);
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(Ids(read.hits[q]), Ids(coded.hits[q])) << "query " << q;
  }
  EXPECT_EQ(read.report.candidates_refined, 0u);
  // Of few candidates all are compared, by vectors or by codes; of more, as many as matter.
  constexpr uint32_t kFew = 60;
  EXPECT_EQ(Explained("disk", queries, kFew).report.candidates_reranked, kFew * queries.rows());
  EXPECT_EQ(Explained("coded", queries, kFew).report.candidates_refined, kFew * queries.rows());
  for (const uint64_t compared :
       {read.report.candidates_reranked, coded.report.candidates_refined}) {
    EXPECT_GT(compared, kRerank * queries.rows() / 5);
    EXPECT_LT(compared, kRerank * queries.rows());
  }
  EXPECT_GE(coded.report.candidates_reranked, kLimit * queries.rows());
  EXPECT_LT(coded.report.candidates_reranked, 2 * kLimit * queries.rows());
  EXPECT_LT(coded.report.bytes_read, read.report.bytes_read);
}

// All that match are told apart by their codes, and few are read, for exactly what is nearest.
TEST_F(EngineScalarCodes, FewOfWhatMatchesAFilterAreRead) {
  Create("c", kDimension, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDiskSq8);
  const Matrix rows = ClusteredRows(kPoints, kDimension, 1);
  UpsertBatch batch;
  batch.vectors = FloatView(rows);
  for (uint64_t id = 0; id < kPoints; ++id) {
    batch.ids.emplace_back(id);
    batch.payloads.push_back(absl::StrCat(R"({"n": )", id, "}"));
  }
  ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  Index("n", PayloadIndexType::kInteger);
  Train("c", kLists);
  SearchRequest request;
  request.collection = "c";
  const Matrix queries = ClusteredRows(30, kDimension, 2);
  request.vectors = FloatView(queries);
  request.limit = kLimit;
  request.explain = true;
  NumberRange range;
  range.bounds = {.lt = 1'500, .gte = 500};
  request.filter.must.push_back({FieldCondition{FieldPath("n"), range}});
  const auto found = engine_->Search(request);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->report.plan, SearchPlan::kExactMatching);
  EXPECT_EQ(found->report.candidates_refined, 1'000 * queries.rows());
  EXPECT_LT(found->report.candidates_reranked, 5 * kLimit * queries.rows());
  for (size_t q = 0; q < queries.rows(); ++q) {
    // All points in order of their distance, but for those that do not match.
    std::vector<std::pair<double, uint64_t>> expected;
    for (uint64_t id = 500; id < 1'500; ++id) {
      double distance = 0;
      for (size_t d = 0; d < kDimension; ++d) {
        const double difference = double{queries.row(q)[d]} - rows.row(id)[d];
        distance += difference * difference;
      }
      expected.emplace_back(distance, id);
    }
    std::sort(expected.begin(), expected.end());
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < kLimit; ++i) ids.push_back(expected[i].second);
    EXPECT_EQ(Ids(found->hits[q]), ids) << "query " << q;
  }
}

TEST_F(EngineScalarCodes, AnExactSearchReadsFewVectors) {
  CreateTrained("memory", VectorPlacement::kMemory);
  CreateTrained("coded", VectorPlacement::kDiskSq8);
  for (const size_t count : {1, 100}) {
    const Matrix queries = ClusteredRows(count, kDimension, 2);
    const SearchResult expected = Search("memory", queries, 3, /*exact=*/true);
    const SearchResult found = Search("coded", queries, 3, /*exact=*/true);
    for (size_t q = 0; q < count; ++q) EXPECT_EQ(Ids(found.hits[q]), Ids(expected.hits[q]));
    EXPECT_EQ(found.report.plan, SearchPlan::kExact);
    if (count == 1) {
      EXPECT_EQ(found.report.candidates_refined, kPoints);
      EXPECT_LT(found.report.candidates_reranked, kPoints / 10);
    } else {  // which together are better compared with all vectors, one after the other
      EXPECT_EQ(found.report.candidates_reranked, count * kPoints);
    }
  }
}

TEST_F(EngineScalarCodes, TheyAreWhatMemoryHolds) {
  CreateTrained("disk", VectorPlacement::kDisk);
  CreateTrained("coded", VectorPlacement::kDiskSq8);
  const auto disk = engine_->GetCollection("disk");
  const auto coded = engine_->GetCollection("coded");
  ASSERT_TRUE(disk.ok() && coded.ok());
  EXPECT_EQ(coded->spec.index.vectors, VectorPlacement::kDiskSq8);
  // Product codes may have another length.
  const double more =
      static_cast<double>(coded->memory_bytes) - static_cast<double>(disk->memory_bytes);
  EXPECT_NEAR(more / kPoints, ScalarRowBytes(kDimension), 16);
}

TEST_F(EngineScalarCodes, EveryMetricAndTypeFindsWhatAnExactSearchFinds) {
  for (const ElementType type : {ElementType::kFloat32, ElementType::kFloat16}) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
      CreateTrained("c", VectorPlacement::kDiskSq8, metric, type);
      ExpectExact("c", 5);
      ASSERT_TRUE(engine_->DeleteCollection("c").ok());
    }
  }
}

TEST_F(EngineScalarCodes, BytesAreTheirOwnCodes) {
  for (const ElementType type : {ElementType::kUint8, ElementType::kInt8}) {
    CollectionSpec spec;
    spec.name = "bytes";
    spec.dimension = kDimension;
    spec.element_type = type;
    spec.index.vectors = VectorPlacement::kDiskSq8;
    const auto refused = engine_->CreateCollection(spec).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(GetStatusDetails(refused).field, "index.vectors");
  }
  Create("bytes", kDimension, Metric::kL2, ElementType::kUint8, VectorPlacement::kDisk);
  const absl::Status changed = Place("bytes", VectorPlacement::kDiskSq8);
  EXPECT_EQ(changed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetStatusDetails(changed).field, "index.vectors");
}

TEST_F(EngineScalarCodes, AreMadeAnewAfterAStart) {
  CreateTrained("c", VectorPlacement::kDiskSq8);
  Reopen();
  ExpectExact("c", 6);  // whether they are there yet or not
  AwaitCodes("c");
  ExpectExact("c", 7);
  EXPECT_EQ(completed_, 1u);
}

TEST_F(EngineScalarCodes, AnUntrainedCollectionHasThemWhenItIsTrained) {
  Create("c", kDimension, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDiskSq8);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, kDimension, 1)).ok());
  Reopen();
  Train("c", kLists);
  const SearchResult result = Explained("c", ClusteredRows(1, kDimension, 3), kPoints);
  EXPECT_EQ(result.report.candidates_refined, kPoints);
  ExpectExact("c", 6);
}

TEST_F(EngineScalarCodes, FollowPointsThatAreReplacedAndDeleted) {
  CreateTrained("c", VectorPlacement::kDiskSq8);
  for (uint32_t round = 0; round < 4; ++round) {
    ASSERT_TRUE(UpsertRows("c", round * 300, ClusteredRows(300, kDimension, 20 + round)).ok());
    std::vector<PointId> gone;
    for (uint64_t id = round; id < kPoints; id += 17) gone.emplace_back(id);
    ASSERT_TRUE(engine_->DeletePoints("c", gone, {}).ok());
    ExpectExact("c", 30 + round);
    if (round == 1) Reopen();
  }
}

// What is made in the background is never that of a point which has had the slot before.
TEST_F(EngineScalarCodes, WritesBesideTheirMakingAreFoundToo) {
  CreateTrained("c", VectorPlacement::kDiskSq8);
  for (uint32_t round = 0; round < 5; ++round) {
    Reopen();
    std::thread writer([&] {
      for (uint32_t part = 0; part < 10; ++part) {
        const Matrix rows = ClusteredRows(100, kDimension, 100 * round + part);
        EXPECT_TRUE(UpsertRows("c", part * 200, rows).ok());
      }
    });
    for (uint32_t seed = 0; seed < 20; ++seed) {
      const SearchResult result = Explained("c", ClusteredRows(3, kDimension, seed));
      for (const auto& hits : result.hits) EXPECT_EQ(hits.size(), kLimit);
    }
    writer.join();
    AwaitCodes("c");
    ExpectExact("c", 40 + round);
  }
}

TEST_F(EngineScalarCodes, ComeAndGoWithTheSettings) {
  CreateTrained("c", VectorPlacement::kMemory);
  ASSERT_EQ(Place("c", VectorPlacement::kDiskSq8), absl::OkStatus());
  Reopen();
  AwaitCodes("c");
  ExpectExact("c", 8);
  ASSERT_EQ(Place("c", VectorPlacement::kMemory), absl::OkStatus());
  Reopen();
  EXPECT_EQ(Explained("c", ClusteredRows(1, kDimension, 3)).report.candidates_refined, 0u);
  ExpectExact("c", 9);
}

}  // namespace
}  // namespace tessera
