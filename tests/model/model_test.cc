// Random sequences of operations on an engine, compared with the model as they go.
#include "tests/model/model.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "tests/environment.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 16;
constexpr uint32_t kIds = 700;
constexpr size_t kDeletionStep = 4;  // so that deletions by filter leave records for a while

struct Setting {
  Metric metric;
  VectorPlacement placement;
  uint32_t seed;
};

class ModelTest : public EngineFixture, public testing::WithParamInterface<Setting> {
 protected:
  void SetUp() override {
    engine_options_.deletion_step_points = kDeletionStep;
    EngineFixture::SetUp();
    seed_ = FromEnvironment("TESSERA_MODEL_SEED", GetParam().seed);
    random_.seed(seed_);
    Create("c", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().placement);
    for (int i = 0; i < 4; ++i) queries_.push_back(Vector());
  }

  std::vector<float> Vector() {
    const Matrix row = ClusteredRows(1, kDimension, static_cast<uint32_t>(random_()));
    return {row.data(), row.data() + kDimension};
  }
  std::vector<PointId> SomeIds(size_t n) {
    std::set<PointId> ids;
    for (size_t i = 0; i < n; ++i) {
      const uint64_t number = random_() % kIds;
      ids.insert(number % 3 == 0 ? PointId(absl::StrCat("id-", number)) : PointId(number));
    }
    std::vector<PointId> shuffled(ids.begin(), ids.end());
    std::shuffle(shuffled.begin(), shuffled.end(), random_);
    return shuffled;
  }

  void Upsert() {
    const std::vector<PointId> ids = SomeIds(1 + random_() % 80);
    const bool payloads = random_() % 4 != 0;
    std::vector<Model::Point> points(ids.size());
    Matrix rows(ids.size(), kDimension);
    UpsertBatch batch;
    batch.ids = ids;
    for (size_t i = 0; i < ids.size(); ++i) {
      points[i].vector = Vector();
      if (payloads) points[i].payload = absl::StrCat("{\"n\":", random_() % 1000, "}");
      if (payloads) batch.payloads.push_back(points[i].payload);
      std::copy(points[i].vector.begin(), points[i].vector.end(), rows.row(i).data());
    }
    batch.vectors = FloatView(rows);
    const auto result = engine_->Upsert("c", batch);
    ASSERT_TRUE(result.ok()) << result.status();
    const WriteResult expected = model_.Upsert(ids, points);
    EXPECT_EQ(result->points, expected.points);
    EXPECT_EQ(result->sequence, expected.sequence);
  }
  void Delete() {
    const std::vector<PointId> ids = SomeIds(1 + random_() % 40);
    const auto result = engine_->DeletePoints("c", ids, {});
    ASSERT_TRUE(result.ok()) << result.status();
    const WriteResult expected = model_.Delete(ids);
    EXPECT_EQ(result->points, expected.points);
    EXPECT_EQ(result->sequence, expected.sequence);
  }
  void DeleteByFilter() {
    const auto bound = static_cast<int64_t>(random_() % 300);
    const std::string request = absl::StrCat("request ", model_.sequence());
    const WriteResult expected = model_.DeleteBelow(bound);
    for (int i = 0; i < 2; ++i) {  // the second time it is known
      const auto result = engine_->DeleteByFilter("c", NumberBelow(bound), {.request_id = request});
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->points, expected.points);
      EXPECT_EQ(result->sequence, expected.sequence);
    }
    large_deletions_ += expected.points > kDeletionStep;
  }
  // Trains a new codebook, or takes an older one again, or deletes one that is not in use.
  void ChangeCodebook() {
    const auto kept = engine_->ListCodebooks("c");
    ASSERT_TRUE(kept.ok()) << kept.status();
    std::vector<uint32_t> others;
    for (const CodebookInfo& info : *kept) {
      if (!info.current) others.push_back(info.version);
    }
    if (others.empty() || random_() % 2 == 0) {
      if (others.size() + 1 >= limits::kCodebooksKeptMax) {
        ASSERT_TRUE(engine_->DeleteCodebook("c", others[0]).ok());
      }
      return Train("c", 4 + random_() % 20);
    }
    const uint32_t version = others[random_() % others.size()];
    const auto activated = Await(engine_->ActivateCodebook("c", version));
    ASSERT_TRUE(activated.ok()) << activated.status();
    ASSERT_EQ(activated->state, OperationState::kSucceeded) << activated->error;
  }
  void Compare() { ASSERT_EQ(CompareWithModel(*engine_, "c", model_, queries_), ""); }

  // With the same codebook, a collection that has a history answers as one that has none.
  void CompareWithFreshBuild() {
    const auto codebook = engine_->ExportCodebook("c", 0);
    ASSERT_TRUE(codebook.ok()) << codebook.status();
    Create("fresh", kDimension, GetParam().metric, ElementType::kFloat32, GetParam().placement);
    UpsertBatch batch;
    Matrix rows(model_.points().size(), kDimension);
    for (const auto& [id, point] : model_.points()) {
      std::copy(point.vector.begin(), point.vector.end(), rows.row(batch.ids.size()).data());
      batch.ids.push_back(id);
    }
    batch.vectors = FloatView(rows);
    ASSERT_TRUE(engine_->Upsert("fresh", batch).ok());
    const auto imported = Await(engine_->ImportCodebook("fresh", *codebook));
    ASSERT_TRUE(imported.ok()) << imported.status();
    ASSERT_EQ(imported->state, OperationState::kSucceeded) << imported->error;
    std::vector<std::vector<float>> queries;
    for (int i = 0; i < 100; ++i) queries.push_back(Vector());
    for (const uint32_t nprobe : {1u, 3u}) {
      EXPECT_NEAR(RecallAt(*engine_, "c", model_, queries, 10, nprobe),
                  RecallAt(*engine_, "fresh", model_, queries, 10, nprobe), 0.005);
    }
    ASSERT_TRUE(engine_->DeleteCollection("fresh").ok());
  }

  uint64_t seed_ = 0;
  std::mt19937 random_;
  Model model_{GetParam().metric, kDimension};
  std::vector<std::vector<float>> queries_;
  size_t large_deletions_ = 0;
};

TEST_P(ModelTest, EngineEqualsModelThroughRandomOperations) {
  SCOPED_TRACE(absl::StrCat("TESSERA_MODEL_SEED=", seed_));
  size_t restarts = 0, trainings = 0;
  for (int step = 0; step < 400 && !HasFailure(); ++step) {
    const uint32_t choice = random_() % 100;
    if (choice < 60) {
      Upsert();
    } else if (choice < 84) {
      Delete();
    } else if (choice < 90) {
      DeleteByFilter();
    } else if (choice < 93 && model_.points().size() > 60) {
      ChangeCodebook();
      ++trainings;
    } else if (choice < 97) {
      Compare();
    } else {
      Reopen();
      Compare();
      ++restarts;
    }
  }
  if (HasFailure()) return;
  if (model_.points().size() > 60) ChangeCodebook();
  for (int i = 0; i < 30; ++i) i % 3 == 0 ? Delete() : Upsert();
  Compare();
  CompareWithFreshBuild();
  Reopen();
  Compare();
  EXPECT_GE(restarts, 3u) << "the sequence is too tame to tell anything";
  EXPECT_GE(trainings, 3u);
  EXPECT_GE(large_deletions_, 3u);
}

INSTANTIATE_TEST_SUITE_P(Settings, ModelTest,
                         testing::Values(Setting{Metric::kL2, VectorPlacement::kMemory, 1},
                                         Setting{Metric::kL2, VectorPlacement::kDisk, 2},
                                         Setting{Metric::kInnerProduct, VectorPlacement::kMemory,
                                                 3},
                                         Setting{Metric::kCosine, VectorPlacement::kDisk, 4},
                                         Setting{Metric::kCosine, VectorPlacement::kDiskSq8, 5},
                                         Setting{Metric::kL2, VectorPlacement::kDiskSq8, 6}),
                         [](const auto& info) { return absl::StrCat("Seed", info.param.seed); });

}  // namespace
}  // namespace tessera
