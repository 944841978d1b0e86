// Every point replaced ten times in random order: recall, memory and disk stay those of a fresh
// build. TESSERA_TURNOVER_POINTS makes it larger.
#include <numeric>
#include <random>

#include "absl/time/clock.h"
#include "tests/environment.h"
#include "tests/model/model.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 32;
constexpr int kTurnovers = 10;
constexpr size_t kQueries = 1000;

class TurnoverTest : public EngineFixture, public testing::WithParamInterface<VectorPlacement> {
 protected:
  void SetUp() override {
    engine_options_.quiet_before_compaction = absl::Seconds(1);
    EngineFixture::SetUp();
    points_ = FromEnvironment("TESSERA_TURNOVER_POINTS", points_);
    vectors_ = ClusteredRows(points_, kDimension, 11);
    const Matrix queries = ClusteredRows(kQueries, kDimension, 12);
    for (size_t i = 0; i < kQueries; ++i) {
      const auto row = queries.row(i);
      queries_.emplace_back(row.begin(), row.end());
    }
  }

  // Gives id ids[i] the vector rows[i].
  void Write(const std::string& collection, const std::vector<uint32_t>& ids,
             const std::vector<uint32_t>& rows) {
    const size_t step = std::max<size_t>(points_ / 25, 1);
    for (size_t begin = 0; begin < ids.size(); begin += step) {
      const size_t n = std::min(step, ids.size() - begin);
      Matrix some(n, kDimension);
      UpsertBatch batch;
      for (size_t i = 0; i < n; ++i) {
        batch.ids.emplace_back(uint64_t{ids[begin + i]});
        std::copy_n(vectors_.row(rows[begin + i]).data(), kDimension, some.row(i).data());
      }
      batch.vectors = FloatView(some);
      const auto result = engine_->Upsert(collection, batch);
      ASSERT_TRUE(result.ok()) << result.status();
    }
  }
  CollectionInfo Info(const std::string& collection) {
    const auto info = engine_->GetCollection(collection);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.ok() ? *info : CollectionInfo{};
  }

  // Waits until what `old` has been through takes no more room.
  void ExpectSizeOfFresh(const std::string& old, const std::string& fresh) {
    // The disk is compacted once writes have stopped; the fresh one's is in memory buffers until
    // then.
    const CollectionInfo fresh_info = Info(fresh);
    CollectionInfo old_info = Info(old);
    const auto is_large = [&] {
      return old_info.disk_bytes > fresh_info.disk_bytes * 1.2 ||
             old_info.memory_bytes > fresh_info.memory_bytes * 1.2;
    };
    for (int i = 0; i < 600 && is_large(); ++i) {
      absl::SleepFor(absl::Milliseconds(100));
      old_info = Info(old);
    }
    std::printf("memory %.2f MB after, %.2f MB fresh; disk %.2f MB after, %.2f MB fresh\n",
                old_info.memory_bytes / 1e6, fresh_info.memory_bytes / 1e6,
                old_info.disk_bytes / 1e6, fresh_info.disk_bytes / 1e6);
    EXPECT_EQ(old_info.points, fresh_info.points);
    EXPECT_LE(old_info.memory_bytes, fresh_info.memory_bytes * 1.2);
    EXPECT_LE(old_info.disk_bytes, fresh_info.disk_bytes * 1.2);
  }

  size_t points_ = 6000;
  Matrix vectors_;
  std::vector<std::vector<float>> queries_;
};

TEST_P(TurnoverTest, TenTurnoversLeaveNoTrace) {
  const auto nlist = static_cast<uint32_t>(points_ / 250);  // lists of several blocks, as real ones
  Create("old", kDimension, Metric::kL2, ElementType::kFloat32, GetParam());
  std::vector<uint32_t> ids(points_), rows(points_);
  std::iota(ids.begin(), ids.end(), 0);
  std::iota(rows.begin(), rows.end(), 0);
  Write("old", ids, rows);
  Train("old", nlist);
  std::mt19937 random(13);
  std::vector<uint32_t> row_of(points_);
  for (int turn = 0; turn < kTurnovers; ++turn) {
    std::shuffle(ids.begin(), ids.end(), random);
    std::shuffle(rows.begin(), rows.end(), random);
    Write("old", ids, rows);
  }
  for (size_t i = 0; i < points_; ++i) row_of[ids[i]] = rows[i];

  Create("fresh", kDimension, Metric::kL2, ElementType::kFloat32, GetParam());
  std::iota(ids.begin(), ids.end(), 0);
  Write("fresh", ids, row_of);
  Train("fresh", nlist);

  Model model(Metric::kL2, kDimension);
  std::vector<PointId> model_ids;
  std::vector<Model::Point> model_points;
  for (size_t i = 0; i < points_; ++i) {
    const auto row = vectors_.row(row_of[i]);
    model_ids.emplace_back(uint64_t{i});
    model_points.push_back({{row.begin(), row.end()}, ""});
  }
  model.Upsert(model_ids, model_points);
  for (const uint32_t nprobe : {2u, 6u}) {
    const double old_recall = RecallAt(*engine_, "old", model, queries_, 10, nprobe);
    const double fresh_recall = RecallAt(*engine_, "fresh", model, queries_, 10, nprobe);
    std::printf("recall@10 at nprobe %u: %.4f after %d turnovers, %.4f fresh\n", nprobe, old_recall,
                kTurnovers, fresh_recall);
    EXPECT_GE(old_recall, fresh_recall - 0.005);
  }
  ExpectSizeOfFresh("old", "fresh");
}

// Deleting nine in ten points and replacing the others leaves a small collection, not a large one
// with holes.
TEST_P(TurnoverTest, WhatShrinksBecomesSmall) {
  // Not fewer: a thousand dead records are not worth a compaction of the disk.
  const auto few = static_cast<uint32_t>(points_);
  const uint32_t nlist = few / 250;
  std::vector<uint32_t> ids(size_t{10} * few), rows(ids.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(14));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint32_t>(i % few);
  const std::vector<uint32_t> kept(ids.begin(), ids.begin() + few);
  const std::vector<uint32_t> their_rows(rows.begin(), rows.begin() + few);
  Create("fresh", kDimension, Metric::kL2, ElementType::kFloat32, GetParam());
  Write("fresh", kept, their_rows);
  Train("fresh", nlist);
  Reopen();  // what is in tables has a size that is known

  Create("old", kDimension, Metric::kL2, ElementType::kFloat32, GetParam());
  Write("old", ids, rows);
  Train("old", nlist);
  for (size_t begin = few; begin < ids.size(); begin += 1'000) {
    std::vector<PointId> some;
    for (size_t i = begin; i < std::min(begin + 1'000, ids.size()); ++i) {
      some.emplace_back(uint64_t{ids[i]});
    }
    ASSERT_TRUE(engine_->DeletePoints("old", some, {}).ok());
  }
  Write("old", kept, their_rows);
  ExpectSizeOfFresh("old", "fresh");
}

INSTANTIATE_TEST_SUITE_P(Placements, TurnoverTest,
                         testing::Values(VectorPlacement::kMemory, VectorPlacement::kDisk,
                                         VectorPlacement::kDiskSq8),
                         [](const auto& info) { return PlacementName(info.param); });

}  // namespace
}  // namespace tessera
