#include "server/rpc/codebook_budget.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "index/base/limits.h"

namespace tessera {
namespace {

TEST(CodebookBudgetTest, HoldsAsMuchAsOneCodebookAtMost) {
  CodebookBudget budget;
  EXPECT_TRUE(budget.Take(0));
  EXPECT_TRUE(budget.Take(limits::kCodebookBytesMax - 10));
  EXPECT_FALSE(budget.Take(11));
  EXPECT_FALSE(budget.Take(SIZE_MAX));
  EXPECT_TRUE(budget.Take(10));
  EXPECT_FALSE(budget.Take(1));
  budget.GiveBack(10);
  EXPECT_FALSE(budget.Take(11));
  EXPECT_TRUE(budget.Take(10));
}

}  // namespace
}  // namespace tessera
