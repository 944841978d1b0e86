#include "index/tune/recall_surface.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tessera {
namespace {

const RecallSurface::Grid kGrid = {{1, 2, 4, 8, 16}, {1, 10, 100, 1000}};

// The share grows with both depths, and falls with k.
float ShareAt(size_t k, size_t p, size_t r) {
  return 1.0f - 0.5f / static_cast<float>((1 + p) * (1 + r)) - 0.02f * static_cast<float>(k);
}

RecallSurface Surface(float error = 0) {
  std::vector<RecallSurface::Measured> shares;
  for (size_t k = 0; k < RecallSurface::kNeighbors.size(); ++k) {
    for (size_t p = 0; p < kGrid.nprobes.size(); ++p) {
      for (size_t r = 0; r < kGrid.reranks.size(); ++r) shares.push_back({ShareAt(k, p, r), error});
    }
  }
  return {5'000, 200, kGrid, std::move(shares)};
}

constexpr DepthCost kListsCostMost = {.list_ns = 1e6, .candidate_ns = 1};
constexpr DepthCost kCandidatesCostMost = {.list_ns = 1, .candidate_ns = 1e6};

TEST(RecallSurface, TheShareAtADepthThatWasMeasured) {
  const RecallSurface surface = Surface();
  EXPECT_FLOAT_EQ(surface.Share(1, {4, 100}).value(), ShareAt(0, 2, 2));
  EXPECT_FLOAT_EQ(surface.Share(1000, {16, 1000}).value(), ShareAt(6, 4, 3));
}

TEST(RecallSurface, TheShareBetweenDepthsAndNeighboursThatWereMeasured) {
  const RecallSurface surface = Surface();
  EXPECT_FLOAT_EQ(surface.Share(1, {6, 100}).value(), (ShareAt(0, 2, 2) + ShareAt(0, 3, 2)) / 2);
  EXPECT_FLOAT_EQ(surface.Share(1, {4, 55}).value(), (ShareAt(0, 2, 1) + ShareAt(0, 2, 2)) / 2);
  // As many candidates for each neighbour.
  const double between = surface.Share(17, {16, 170}).value();
  const double fewer = surface.Share(10, {16, 100}).value();
  const double more = surface.Share(30, {16, 300}).value();
  EXPECT_LT(between, std::max(fewer, more));
  EXPECT_GT(between, std::min(fewer, more));
  // Deeper than measured finds as much as the deepest.
  EXPECT_EQ(surface.Share(10, {16, 1000}), surface.Share(10, {32, 5000}));
}

TEST(RecallSurface, NothingIsSaidOfMoreNeighboursThanWereMeasured) {
  EXPECT_EQ(Surface().Share(1001, {16, 1000}), std::nullopt);
  EXPECT_EQ(Surface().Cheapest(1001, 0.1, kListsCostMost), std::nullopt);
}

// The depth is enough, and neither a list nor a step of candidates less would be.
TEST(RecallSurface, TheCheapestDepthFindsNoMoreThanItMust) {
  const RecallSurface surface = Surface();
  for (const DepthCost& cost : {kListsCostMost, kCandidatesCostMost, DepthCost{1, 1}}) {
    for (uint64_t k : {1, 3, 10, 50, 100, 1000}) {
      for (double target = 0.05; target < 0.95; target += 0.05) {
        const auto depth = surface.Cheapest(k, target, cost);
        if (!depth.has_value()) {
          EXPECT_LT(surface.Share(k, {16, 1000}).value(), target);
          continue;
        }
        EXPECT_GE(surface.Share(k, *depth).value(), target - 1e-6) << k << " " << target;
        EXPECT_GE(depth->rerank, k);
        if (depth->nprobe > 1) {
          const SearchDepth less = {depth->nprobe - 1, depth->rerank};
          EXPECT_LT(surface.Share(k, less).value(), target + 1e-6) << k << " " << target;
        }
      }
    }
  }
}

TEST(RecallSurface, TheCheapestDepthGoesByWhatCosts) {
  const RecallSurface surface = Surface();
  const SearchDepth few_lists = surface.Cheapest(1, 0.9, kListsCostMost).value();
  const SearchDepth few_candidates = surface.Cheapest(1, 0.9, kCandidatesCostMost).value();
  EXPECT_LT(few_lists.nprobe, few_candidates.nprobe);
  EXPECT_GT(few_lists.rerank, few_candidates.rerank);
}

TEST(RecallSurface, WhatIsUncertainTakesMore) {
  const SearchDepth certain = Surface().Cheapest(10, 0.9, kListsCostMost).value();
  const SearchDepth uncertain = Surface(0.02f).Cheapest(10, 0.9, kListsCostMost).value();
  EXPECT_GT(uncertain.nprobe, certain.nprobe);
  EXPECT_EQ(Surface(0.5f).Cheapest(10, 0.9, kListsCostMost), std::nullopt);
}

TEST(RecallSurface, ReadsWhatItWrites) {
  const RecallSurface surface = Surface(0.01f);
  const auto parsed = RecallSurface::Parse(surface.Serialize());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, surface);
  EXPECT_EQ(parsed->queries(), 200u);
  EXPECT_EQ(parsed->points(), 5'000u);
}

TEST(RecallSurface, RefusesBytesThatAreCutOrContinued) {
  const std::string bytes = Surface().Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(RecallSurface::Parse(bytes.substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
  EXPECT_EQ(RecallSurface::Parse(bytes + "x").status().code(), absl::StatusCode::kDataLoss);
}

TEST(RecallSurface, RefusesWhatCannotHaveBeenMeasured) {
  // version u8, points u64, queries u32, two counts u16, the depths, the shares.
  constexpr size_t kPointsAt = 1, kQueriesAt = 9, kNprobesAt = 13, kDepthsAt = 17;
  const std::string good = Surface().Serialize();
  const auto changed = [&](size_t at, std::string_view with) {
    std::string bytes = good;
    bytes.replace(at, with.size(), with);
    return RecallSurface::Parse(bytes).status().code();
  };
  const std::string_view zeros("\0\0\0\0\0\0\0\0", 8), ones("\xff\xff\xff\xff", 4);
  EXPECT_EQ(changed(0, "\x02"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(changed(kPointsAt, zeros), absl::StatusCode::kDataLoss);
  EXPECT_EQ(changed(kQueriesAt, zeros.substr(4)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(changed(kNprobesAt, zeros.substr(6)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(changed(kNprobesAt, ones.substr(2)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(changed(kDepthsAt, zeros.substr(4)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(changed(kDepthsAt, ones), absl::StatusCode::kDataLoss);
  for (const float share : {-0.1f, 1.1f, std::numeric_limits<float>::quiet_NaN()}) {
    char bytes[sizeof(share)];
    std::memcpy(bytes, &share, sizeof(share));
    EXPECT_EQ(changed(good.size() - 8, {bytes, 4}), absl::StatusCode::kDataLoss) << share;
  }
}

}  // namespace
}  // namespace tessera
