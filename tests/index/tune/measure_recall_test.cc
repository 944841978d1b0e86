// What is measured is what searches find.
#include "index/tune/measure_recall.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "index/ivf/inverted_lists.h"
#include "index/ivf/searcher.h"
#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

constexpr size_t kPoints = 4'000;
constexpr size_t kQueries = 60;
constexpr size_t kDimension = 16;
constexpr uint32_t kLists = 64;

class MeasureRecallTest : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    points_ = test::RandomVectors(kPoints, kDimension, 1);
    queries_ = test::RandomVectors(kQueries, kDimension, 2);
    CodebookSpec spec;
    spec.metric = GetParam();
    spec.dimension = kDimension;
    spec.nlist = kLists;
    spec.subquantizers = 4;
    spec.iterations = 5;
    const auto codebook = Codebook::Train(spec, points_, executor_, nullptr);
    ASSERT_TRUE(codebook.ok()) << codebook.status();
    lists_ = std::make_unique<InvertedLists>(*codebook);
    lists_->Append(test::Encode(**codebook, points_), test::Iota(kPoints, 0).data());
  }

  std::vector<std::vector<Slot>> Nearest(MatrixView queries, size_t k) const {
    std::vector<std::vector<Slot>> nearest(queries.rows);
    for (size_t q = 0; q < queries.rows; ++q) {
      for (const Neighbor& near : test::ExactScan(GetParam(), points_, queries.row(q), k)) {
        nearest[q].push_back(near.slot);
      }
    }
    return nearest;
  }

  TestExecutor executor_{2};
  Matrix points_, queries_;
  std::unique_ptr<InvertedLists> lists_;
};

TEST_P(MeasureRecallTest, IsWhatSearchesFind) {
  const auto nearest = Nearest(queries_, 1000);
  const auto snapshot = lists_->Snapshot();
  const auto surface =
      MeasureRecall(*snapshot, SlotSet(), kPoints, {queries_, nearest, {}}, executor_, nullptr);
  ASSERT_TRUE(surface.ok()) << surface.status();
  EXPECT_EQ(surface->queries(), kQueries);
  EXPECT_EQ(surface->points(), kPoints);
  const test::MatrixSource source(points_);
  size_t compared = 0;
  for (const size_t k : {1, 10, 100}) {
    for (const uint32_t nprobe : surface->grid().nprobes) {
      for (const uint32_t rerank : surface->grid().reranks) {
        if (rerank < k || ++compared % 7 != 0) continue;
        std::vector<std::vector<Neighbor>> found(kQueries);
        IvfSearchStats stats;
        ASSERT_TRUE(SearchIvf(*snapshot, queries_, {.k = k, .nprobe = nprobe, .rerank = rerank},
                              SlotSet(), &source, found, &stats)
                        .ok());
        double share = 0;
        for (size_t q = 0; q < kQueries; ++q) {
          const std::set<Slot> truth(nearest[q].begin(),
                                     nearest[q].begin() + static_cast<ptrdiff_t>(k));
          size_t hits = 0;
          for (const Neighbor& near : found[q]) hits += truth.contains(near.slot);
          share += static_cast<double>(hits) / static_cast<double>(k * kQueries);
        }
        // Codes that are equally far come in any order.
        EXPECT_NEAR(surface->Share(k, {nprobe, rerank}).value(), share, 0.005)
            << k << " of nprobe " << nprobe << ", rerank " << rerank;
      }
    }
  }
  EXPECT_GT(compared, 100u);
}

TEST_P(MeasureRecallTest, APointIsNotItsOwnNeighbour) {
  const MatrixView queries = points_.view().Rows(0, kQueries);
  auto nearest = Nearest(queries, 1001);
  for (Slot q = 0; q < kQueries; ++q) std::erase(nearest[q], q);
  const std::vector<Slot> own = test::Iota(kQueries, 0);
  const auto with_own = MeasureRecall(*lists_->Snapshot(), SlotSet(), kPoints,
                                      {queries, nearest, own}, executor_, nullptr);
  const auto without = MeasureRecall(*lists_->Snapshot(), SlotSet(), kPoints,
                                     {queries, nearest, {}}, executor_, nullptr);
  ASSERT_TRUE(with_own.ok() && without.ok());
  // Else it takes the place of a candidate, as a rule of one of the first.
  EXPECT_LT(without->Share(10, {kLists, 10}).value(),
            with_own->Share(10, {kLists, 10}).value() - 0.01);
}

TEST_P(MeasureRecallTest, DeletedPointsTakeNoPlace) {
  const auto nearest = Nearest(queries_, 1000);
  SlotSet deleted;
  for (Slot slot = 0; slot < kPoints; ++slot) {
    if (slot % 2 == 0) deleted.Insert(slot);
  }
  std::vector<std::vector<Slot>> left = nearest;
  for (auto& near : left) std::erase_if(near, [](Slot slot) { return slot % 2 == 0; });
  const auto all = MeasureRecall(*lists_->Snapshot(), SlotSet(), kPoints, {queries_, left, {}},
                                 executor_, nullptr);
  const auto half = MeasureRecall(*lists_->Snapshot(), deleted, kPoints / 2, {queries_, left, {}},
                                  executor_, nullptr);
  ASSERT_TRUE(all.ok() && half.ok());
  EXPECT_GT(half->Share(10, {kLists, 20}).value(), all->Share(10, {kLists, 20}).value());
  EXPECT_EQ(half->Share(10, {kLists, kPoints / 2}).value(), 1);
}

class Canceller final : public ProgressObserver {
 public:
  bool OnProgress(const char*, size_t, size_t) override { return false; }
};

TEST_P(MeasureRecallTest, CanBeCancelled) {
  Canceller canceller;
  const auto nearest = Nearest(queries_, 10);
  EXPECT_EQ(MeasureRecall(*lists_->Snapshot(), SlotSet(), kPoints, {queries_, nearest, {}},
                          executor_, &canceller)
                .status()
                .code(),
            absl::StatusCode::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Metrics, MeasureRecallTest,
                         testing::Values(Metric::kL2, Metric::kInnerProduct, Metric::kCosine));

}  // namespace
}  // namespace tessera
