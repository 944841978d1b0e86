#include "server/rpc/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"

namespace tessera {
namespace {

TEST(WorkerPoolTest, RunsWhatItAccepted) {
  std::atomic<int> runs{0};
  {
    WorkerPool pool({.name = "test", .threads = 3, .queue_max = 1'000, .bytes_max = 1});
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(pool.Submit(0, [&] { ++runs; }));
  }
  EXPECT_EQ(runs, 500);
}

TEST(WorkerPoolTest, RefusesAtOnceWhenTheQueueIsFull) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 2, .bytes_max = 0});
  absl::Notification started, go;
  std::atomic<int> runs{0};
  ASSERT_TRUE(pool.Submit(0, [&] {
    started.Notify();
    go.WaitForNotification();
    ++runs;
  }));
  started.WaitForNotification();
  EXPECT_TRUE(pool.Submit(0, [&] { ++runs; }));
  EXPECT_TRUE(pool.Submit(0, [&] { ++runs; }));
  EXPECT_FALSE(pool.Submit(0, [&] { runs = 1'000; }));
  go.Notify();
  pool.Stop();
  EXPECT_EQ(runs, 3);
}

TEST(WorkerPoolTest, BoundsTheBytesThatTasksHold) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 10, .bytes_max = 100});
  absl::Notification started, go, done;
  // One task alone may be larger than the budget, or a large request could never be served.
  ASSERT_TRUE(pool.Submit(500, [&] {
    started.Notify();
    go.WaitForNotification();
  }));
  started.WaitForNotification();
  EXPECT_FALSE(pool.Submit(1, [] {}));
  EXPECT_TRUE(pool.Submit(0, [&] { done.Notify(); }));
  go.Notify();
  done.WaitForNotification();
  // The large one has given its bytes back before the next began.
  absl::Notification hold;
  EXPECT_TRUE(pool.Submit(60, [&] { hold.WaitForNotification(); }));
  EXPECT_TRUE(pool.Submit(40, [] {}));
  EXPECT_FALSE(pool.Submit(1, [] {}));
  hold.Notify();
}

TEST(WorkerPoolTest, RefusesAfterStop) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 10, .bytes_max = 0});
  pool.Stop();
  EXPECT_FALSE(pool.Submit(0, [] {}));
  pool.Stop();
}

}  // namespace
}  // namespace tessera
