// Searches that the threads of an executor share.
#include <atomic>

#include "absl/strings/str_cat.h"
#include "server/engine/thread_pool_executor.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 48;
constexpr size_t kPoints = 6'000;
constexpr size_t kQueries = 300;

// Counts the pieces that it has run.
class CountingExecutor final : public Executor {
 public:
  size_t Parallelism() const override { return pool_.Parallelism(); }
  void ParallelFor(size_t n, size_t grain,
                   const std::function<void(size_t, size_t)>& body) override {
    pool_.ParallelFor(n, grain, [&](size_t begin, size_t end) {
      ++pieces_;
      body(begin, end);
    });
  }

  int TakePieces() { return pieces_.exchange(0); }

 private:
  ThreadPoolExecutor pool_{3};
  std::atomic<int> pieces_{0};
};

class EngineParallel : public EngineFixture, public ::testing::WithParamInterface<VectorPlacement> {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    MakeCollection(kPoints, kDimension);
  }

  // Point i has {"n": i}.
  void MakeCollection(size_t points, uint32_t dimension) {
    Create("c", dimension, Metric::kL2, ElementType::kFloat32, GetParam());
    const Matrix rows = ClusteredRows(points, dimension, 1);
    UpsertBatch batch{.vectors = FloatView(rows)};
    for (uint64_t i = 0; i < points; ++i) {
      batch.ids.emplace_back(i);
      batch.payloads.push_back(absl::StrCat(R"({"n":)", i, "}"));
    }
    ASSERT_TRUE(engine_->Upsert("c", batch).ok());
    Index("n", PayloadIndexType::kInteger);
    Train("c", 64);
  }

  static Filter Below(uint64_t n) {
    Filter filter;
    filter.must.push_back(
        {FieldCondition{FieldPath("n"), NumberRange{{.lt = static_cast<Number>(n)}}}});
    return filter;
  }

  SearchResult Run(const SearchRequest& request) {
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }

  // The answers of one thread, and of several.
  void ExpectSameAnswers(const SearchRequest& request) {
    engine_options_.search_executor = nullptr;
    Reopen();
    const SearchResult alone = Run(request);
    engine_options_.search_executor = &helpers_;
    Reopen();
    helpers_.TakePieces();
    const SearchResult together = Run(request);
    EXPECT_GT(helpers_.TakePieces(), 1);

    ASSERT_EQ(together.hits.size(), kQueries);
    for (size_t q = 0; q < kQueries; ++q) {
      EXPECT_EQ(Ids(together.hits[q]), Ids(alone.hits[q]));
      for (size_t i = 0; i < alone.hits[q].size(); ++i) {
        EXPECT_EQ(together.hits[q][i].score, alone.hits[q][i].score);
        EXPECT_EQ(together.hits[q][i].payload, alone.hits[q][i].payload);
        EXPECT_EQ(together.hits[q][i].vector, alone.hits[q][i].vector);
      }
    }
    EXPECT_EQ(together.report.plan, alone.report.plan);
    EXPECT_EQ(together.report.lists_scanned, alone.report.lists_scanned);
    EXPECT_EQ(together.report.codes_scanned, alone.report.codes_scanned);
    // Of scalar codes, some may be still to come after a start, and each part leaves what is open.
    if (GetParam() != VectorPlacement::kDiskSq8) {
      EXPECT_EQ(together.report.candidates_reranked, alone.report.candidates_reranked);
    }
  }

  const Matrix queries_ = ClusteredRows(kQueries, kDimension, 2);
  SearchRequest request_{.collection = "c", .vectors = FloatView(queries_)};
  CountingExecutor helpers_;
};

TEST_P(EngineParallel, Lists) {
  request_.nprobe = 8;
  request_.rerank = 300;
  ExpectSameAnswers(request_);
}

TEST_P(EngineParallel, Exact) {
  request_.exact = true;
  ExpectSameAnswers(request_);
}

TEST_P(EngineParallel, Fields) {
  request_.nprobe = 1;
  request_.rerank = 10;
  request_.fields.payload.enabled = true;
  request_.fields.vector = true;
  ExpectSameAnswers(request_);
}

TEST_P(EngineParallel, FilterThatFewMatch) {
  request_.filter = Below(500);
  ExpectSameAnswers(request_);
}

TEST_P(EngineParallel, FilterThatNearlyAllMatch) {
  request_.nprobe = 8;
  request_.rerank = 300;
  request_.filter = Below(kPoints - 100);
  ExpectSameAnswers(request_);
}

// Enough match not to compare them all, few enough to compare those near the query.
TEST_P(EngineParallel, FilterWhoseMatchesAreSortedByList) {
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  MakeCollection(20'000, 8);
  const Matrix queries = ClusteredRows(kQueries, 8, 2);
  request_.vectors = FloatView(queries);
  request_.filter = Below(3'100);
  ExpectSameAnswers(request_);
  const bool sorted = Run(request_).report.codes_scanned == 0;
  EXPECT_EQ(sorted, GetParam() != VectorPlacement::kDisk);
}

TEST_P(EngineParallel, SearchesOfABatch) {
  engine_options_.search_executor = &helpers_;
  Reopen();
  std::vector<SearchRequest> searches(40, {.collection = "c"});
  for (size_t i = 0; i < searches.size(); ++i) {
    searches[i].vectors = {reinterpret_cast<const std::byte*>(queries_.row(i).data()),
                           ElementType::kFloat32, 1, kDimension};
    searches[i].limit = i % 3 + 1;
    if (i % 2 == 0) searches[i].filter = Below(i * 100 + 1);
  }
  searches[17].collection = "absent";
  helpers_.TakePieces();
  const auto results = engine_->SearchEach(searches);
  EXPECT_GT(helpers_.TakePieces(), 1);
  ASSERT_EQ(results.size(), searches.size());
  for (size_t i = 0; i < searches.size(); ++i) {
    if (i == 17) {
      EXPECT_TRUE(absl::IsNotFound(results[i].status())) << results[i].status();
      continue;
    }
    ASSERT_TRUE(results[i].ok()) << results[i].status();
    EXPECT_EQ(Ids(results[i]->hits[0]), Ids(Run(searches[i]).hits[0])) << i;
  }
}

// Points that have been replaced since their slots were found, and deleted ones, are in nobody's
// part twice and in nobody's answer.
TEST_P(EngineParallel, ExactAfterWrites) {
  ASSERT_TRUE(UpsertRows("c", 1'000, ClusteredRows(500, kDimension, 3)).ok());
  std::vector<PointId> gone;
  for (uint64_t id = 0; id < 700; ++id) gone.emplace_back(id * 2);
  ASSERT_TRUE(engine_->DeletePoints("c", gone, {}).ok());
  request_.exact = true;
  request_.limit = 50;
  ExpectSameAnswers(request_);
}

TEST_P(EngineParallel, AnExplanationIsOfOneThread) {
  engine_options_.search_executor = &helpers_;
  Reopen();
  request_.nprobe = 8;
  request_.rerank = 300;
  request_.explain = true;
  helpers_.TakePieces();
  Run(request_);
  EXPECT_EQ(helpers_.TakePieces(), 0);
}

INSTANTIATE_TEST_SUITE_P(Placements, EngineParallel,
                         ::testing::Values(VectorPlacement::kMemory, VectorPlacement::kDisk,
                                           VectorPlacement::kDiskSq8),
                         [](const auto& info) { return PlacementName(info.param); });

}  // namespace
}  // namespace tessera
