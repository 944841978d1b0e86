#include "server/engine/write_queue.h"

#include <gtest/gtest.h>

#include <new>

namespace tessera {
namespace {

// A write half done and a queue without an end would be worse.
TEST(WriteQueueDeathTest, AnExceptionInATurnEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        WriteQueue queue([](std::span<PendingWrite* const>) { return absl::OkStatus(); });
        try {
          queue.RunExclusive([]() -> absl::Status { throw std::bad_alloc(); }).IgnoreError();
        } catch (const std::bad_alloc&) {
          // As the edge does, which then answers INTERNAL and goes on.
        }
      },
      "");
}

}  // namespace
}  // namespace tessera
