#include "server/rpc/polling_threads.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(PollingThreadsTest, LeavesAQuarterOfTheCores) {
  EXPECT_EQ(PollingThreads::CountToHold(1), 1u);
  EXPECT_EQ(PollingThreads::CountToHold(2), 1u);
  EXPECT_EQ(PollingThreads::CountToHold(4), 1u);
  EXPECT_EQ(PollingThreads::CountToHold(8), 2u);
  EXPECT_EQ(PollingThreads::CountToHold(16), 4u);
  EXPECT_EQ(PollingThreads::CountToHold(64), 0u);
}

}  // namespace
}  // namespace tessera
