#include "index/tune/recall_meter.h"

#include <gtest/gtest.h>

#include <vector>

#include "index/base/limits.h"

namespace tessera {
namespace {

// 100 points in 20 lists.
constexpr uint64_t kPoints = 100;
constexpr uint32_t kLists = 20;

double ShareOf(const RecallSurface& surface, uint64_t k, uint32_t nprobe, uint32_t rerank) {
  return surface.Share(k, {nprobe, rerank}).value();
}

TEST(RecallMeter, TheGridReachesAllListsAndCandidates) {
  const RecallMeter meter(kPoints, kLists);
  EXPECT_EQ(meter.grid().nprobes.front(), 1u);
  EXPECT_EQ(meter.grid().nprobes.back(), kLists);
  EXPECT_EQ(meter.grid().reranks.front(), 1u);
  EXPECT_EQ(meter.grid().reranks.back(), kPoints);
}

TEST(RecallMeter, TheGridsOfTheSmallestAndTheLargest) {
  const RecallMeter one(1, 1);
  EXPECT_EQ(one.grid().depths(), 1u);
  const RecallMeter most(uint64_t{1} << 32, limits::kListsMax);
  EXPECT_EQ(most.grid().nprobes.back(), limits::kListsMax);
  EXPECT_EQ(most.grid().reranks.back(), limits::kCalibratedRerankMax);
}

// A neighbour is found from the nprobe on that has its list, and from the rerank on that has it
// among the candidates of the lists that are searched: fewer come before it in fewer lists.
TEST(RecallMeter, CountsWhatWouldBeFound) {
  RecallMeter meter(kPoints, kLists);
  const std::vector<Slot> neighbors = {7};
  const std::vector<Slot> candidates = {1, 2, 3, 7};
  ASSERT_EQ(meter.grid().nprobes[2], 3u);
  const std::vector<uint32_t> first_nprobes = {0, 5, 9, 2};
  meter.Add({neighbors, candidates, first_nprobes});
  const RecallSurface surface = meter.Surface();
  EXPECT_EQ(ShareOf(surface, 1, 2, 100), 0);  // its list is not searched
  EXPECT_EQ(ShareOf(surface, 1, 3, 1), 0);
  EXPECT_EQ(ShareOf(surface, 1, 3, 2), 1);  // behind 1
  EXPECT_EQ(ShareOf(surface, 1, 20, 3), 0);
  EXPECT_EQ(ShareOf(surface, 1, 20, 4), 1);  // behind 1, 2, 3
}

TEST(RecallMeter, EachNumberOfNeighboursHasItsShare) {
  RecallMeter meter(kPoints, kLists);
  std::vector<Slot> neighbors;
  for (Slot slot = 0; slot < 50; ++slot) neighbors.push_back(slot);
  // The first, the ninth and the fiftieth are found in the nearest list.
  const std::vector<Slot> candidates = {49, 8, 0};
  const std::vector<uint32_t> first_nprobes = {0, 0, 0};
  meter.Add({neighbors, candidates, first_nprobes});
  const RecallSurface surface = meter.Surface();
  EXPECT_FLOAT_EQ(ShareOf(surface, 1, 1, 100), 1);
  EXPECT_FLOAT_EQ(ShareOf(surface, 10, 1, 100), 0.2);
  EXPECT_FLOAT_EQ(ShareOf(surface, 100, 1, 100), 3.0 / 50);  // there are no more
  EXPECT_FLOAT_EQ(ShareOf(surface, 1, 1, 2), 0);
  EXPECT_FLOAT_EQ(ShareOf(surface, 100, 1, 2), 2.0 / 50);
}

TEST(RecallMeter, TheMeanOfQueriesAndItsError) {
  RecallMeter meter(kPoints, kLists);
  const std::vector<Slot> neighbors = {7}, other = {8}, candidates = {7};
  const std::vector<uint32_t> first_nprobes = {0};
  for (int i = 0; i < 75; ++i) meter.Add({neighbors, candidates, first_nprobes});
  for (int i = 0; i < 25; ++i) meter.Add({other, candidates, first_nprobes});
  const RecallSurface surface = meter.Surface();
  EXPECT_EQ(surface.queries(), 100u);
  EXPECT_FLOAT_EQ(ShareOf(surface, 1, 1, 1), 0.75);
  // sqrt(0.75 x 0.25 / 100) = 0.0433
  EXPECT_TRUE(surface.Cheapest(1, 0.706, {1, 1}).has_value());
  EXPECT_FALSE(surface.Cheapest(1, 0.708, {1, 1}).has_value());
}

}  // namespace
}  // namespace tessera
