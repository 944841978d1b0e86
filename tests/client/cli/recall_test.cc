#include "client/cli/recall.h"

#include <vector>

#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

TEST(RecallAtK, IsTheShareOfTheTrueNearest) {
  const std::vector<int32_t> truth = {5, 3, 9, 1};
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{5, 3, 9, 1}, truth, 4), 1.0);
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{1, 9, 3, 5}, truth, 4), 1.0);
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{5, 7, 9, 8}, truth, 4), 0.5);
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{3, 5}, truth, 1), 0.0);
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{5, 3}, truth, 1), 1.0);
  // Right ids beyond the first k do not count.
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{7, 8, 5, 3}, truth, 2), 0.0);
}

TEST(RecallAtK, CountsMissingAnswersAsMisses) {
  const std::vector<int32_t> truth = {5, 3, 9, 1};
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{5, 3}, truth, 4), 0.5);
  EXPECT_EQ(RecallAtK({}, truth, 4), 0.0);
  // Padding in the file is not id 2^64 - 1.
  EXPECT_EQ(RecallAtK(std::vector<uint64_t>{UINT64_MAX, 5}, std::vector<int32_t>{5, -1}, 2), 0.5);
}

TEST(Missed, AreTheTrueNearestThatAreNotReturned) {
  const std::vector<int32_t> truth = {5, 3, 9, 1};
  EXPECT_EQ(Missed(std::vector<uint64_t>{9, 7, 5}, truth, 4), (std::vector<int32_t>{3, 1}));
  // Beyond the first k nothing counts, neither of what is returned nor of what is near.
  EXPECT_EQ(Missed(std::vector<uint64_t>{7, 5, 3}, truth, 2), (std::vector<int32_t>{3}));
  EXPECT_EQ(Missed({}, std::vector<int32_t>{5, -1}, 2), (std::vector<int32_t>{5, -1}));
  EXPECT_EQ(Missed(std::vector<uint64_t>{UINT64_MAX}, std::vector<int32_t>{-1}, 1),
            (std::vector<int32_t>{-1}));
}

TEST(Percentile, IsTheNearestRank) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(Percentile(values, 0.50), 50);
  EXPECT_EQ(Percentile(values, 0.99), 99);
  EXPECT_EQ(Percentile(values, 1.0), 100);
  EXPECT_EQ(Percentile(values, 0.0), 1);
  std::vector<double> one = {7};
  EXPECT_EQ(Percentile(one, 0.99), 7);
  std::vector<double> none;
  EXPECT_EQ(Percentile(none, 0.5), 0);
}

}  // namespace
}  // namespace tessera::cli
