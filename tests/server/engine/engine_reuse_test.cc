// Slots of deleted points are given to others while searches run.
#include <atomic>
#include <cmath>
#include <map>
#include <thread>

#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr uint32_t kDimension = 12;
constexpr uint64_t kIds = 600;

// Each id has one vector for ever, so that a score tells whether it belongs to its id.
class EngineReuseTest : public EngineFixture,
                        public testing::WithParamInterface<std::tuple<VectorPlacement, bool>> {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, std::get<0>(GetParam()));
    rows_ = ClusteredRows(kIds, kDimension, 3);
    ASSERT_TRUE(UpsertRows("c", 0, rows_).ok());
    if (std::get<1>(GetParam())) Train("c", 8);
  }

  float Distance(const Matrix& query, uint64_t id) const {
    float sum = 0;
    for (size_t j = 0; j < kDimension; ++j) {
      const float d = query.row(0)[j] - rows_.row(id)[j];
      sum += d * d;
    }
    return sum;
  }
  void Upsert(const std::vector<uint64_t>& ids) {
    UpsertBatch batch;
    Matrix rows(ids.size(), kDimension);
    for (size_t i = 0; i < ids.size(); ++i) {
      batch.ids.emplace_back(ids[i]);
      std::copy_n(rows_.row(ids[i]).data(), kDimension, rows.row(i).data());
    }
    batch.vectors = FloatView(rows);
    const auto written = engine_->Upsert("c", batch);
    ASSERT_TRUE(written.ok()) << written.status();
  }
  void Delete(const std::vector<uint64_t>& ids) {
    const auto written = engine_->DeletePoints("c", {ids.begin(), ids.end()}, {});
    ASSERT_TRUE(written.ok()) << written.status();
  }
  // What a search of every point finds must belong together, and hold all of the first half.
  void CheckSearch(std::mt19937& random, bool exact) {
    Matrix query(1, kDimension);
    std::copy_n(rows_.row(random() % kIds).data(), kDimension, query.row(0).data());
    const SearchResult result = Search("c", query, kIds, exact, 8);
    ASSERT_EQ(result.hits.size(), 1u);
    std::set<uint64_t> seen;
    for (const Hit& hit : result.hits[0]) {
      const uint64_t id = std::get<uint64_t>(hit.id);
      EXPECT_TRUE(seen.insert(id).second) << id << " came twice";
      const float expected = Distance(query, id);
      EXPECT_NEAR(hit.score, expected, 1e-3f * (1 + expected)) << "of id " << id;
    }
    size_t stable = 0;
    for (uint64_t id : seen) stable += id < kIds / 2;
    EXPECT_EQ(stable, kIds / 2) << "a point that is only replaced is always there";
  }

  Matrix rows_;
};

TEST_P(EngineReuseTest, AReplacedPointNeverVanishesOrTurnsIntoAnother) {
  std::atomic<bool> stop{false};
  std::thread searcher([&] {
    std::mt19937 random(5);
    for (int i = 0; !stop.load() && !HasFailure(); ++i) CheckSearch(random, i % 2 == 0);
  });
  std::thread getter([&] {
    std::mt19937 random(6);
    while (!stop.load() && !HasFailure()) {
      const PointId id = random() % (kIds / 2);
      ElementType type;
      const auto points = engine_->GetPoints("c", {id}, {.vector = true}, &type);
      ASSERT_TRUE(points.ok()) << points.status();
      ASSERT_EQ(points->size(), 1u) << std::get<uint64_t>(id);
      ASSERT_EQ(std::memcmp((*points)[0].vector.data(), rows_.row(std::get<uint64_t>(id)).data(),
                            kDimension * sizeof(float)),
                0);
    }
  });
  // The first half is replaced all the time, the second half comes and goes.
  std::mt19937 random(7);
  for (int round = 0; round < 150 && !HasFailure(); ++round) {
    std::set<uint64_t> ids;
    for (int i = 0; i < 40; ++i) ids.insert(random() % kIds);
    Upsert({ids.begin(), ids.end()});
    ids.clear();
    for (int i = 0; i < 20; ++i) ids.insert(kIds / 2 + random() % (kIds / 2));
    Delete({ids.begin(), ids.end()});
  }
  stop = true;
  searcher.join();
  getter.join();
  std::mt19937 last(8);
  CheckSearch(last, true);
  CheckSearch(last, false);
  Reopen();
  CheckSearch(last, true);
  CheckSearch(last, false);
}

INSTANTIATE_TEST_SUITE_P(PlacementAndTraining, EngineReuseTest,
                         testing::Combine(testing::Values(VectorPlacement::kMemory,
                                                          VectorPlacement::kDisk,
                                                          VectorPlacement::kDiskSq8),
                                          testing::Bool()));

}  // namespace
}  // namespace tessera
