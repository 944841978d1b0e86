#include "index/base/executor.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::vector<std::pair<size_t, size_t>> Pieces(size_t n, size_t grain) {
  std::vector<std::pair<size_t, size_t>> pieces;
  InlineExecutor().ParallelFor(n, grain,
                               [&](size_t begin, size_t end) { pieces.emplace_back(begin, end); });
  return pieces;
}

TEST(InlineExecutorTest, CoversTheRangeInGrains) {
  EXPECT_THAT(Pieces(10, 4), ElementsAre(Pair(0, 4), Pair(4, 8), Pair(8, 10)));
  EXPECT_THAT(Pieces(3, 100), ElementsAre(Pair(0, 3)));
  EXPECT_THAT(Pieces(2, 0), ElementsAre(Pair(0, 1), Pair(1, 2)));
  EXPECT_THAT(Pieces(0, 4), IsEmpty());
}

}  // namespace
}  // namespace tessera
