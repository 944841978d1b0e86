#include "server/rpc/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <thread>

#include "absl/synchronization/barrier.h"
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

// Runs `task` in the pool and waits for it.
void RunIn(WorkerPool& pool, const std::function<void()>& task) {
  absl::Notification done;
  ASSERT_TRUE(pool.Submit(0, [&] {
    task();
    done.Notify();
  }));
  done.WaitForNotification();
}

TEST(WorkerPoolTest, IdleThreadsHelpWithALoop) {
  constexpr size_t kThreads = 3;
  WorkerPool pool({.name = "test", .threads = kThreads, .queue_max = 10, .bytes_max = 0});
  // Passes only if three threads are in a piece at the same time.
  auto* barrier = new absl::Barrier(kThreads);
  RunIn(pool, [&] {
    pool.ParallelFor(kThreads, 1, [&](size_t, size_t) {
      if (barrier->Block()) delete barrier;
    });
  });
  // So many times that a thread that comes when all is done would be seen.
  for (int i = 0; i < 2'000; ++i) {
    std::atomic<size_t> sum{0};
    RunIn(pool,
          [&] { pool.ParallelFor(20, 3, [&](size_t begin, size_t end) { sum += end - begin; }); });
    ASSERT_EQ(sum, 20u);
  }
}

TEST(WorkerPoolTest, TellsHowManyThreadsCouldHelp) {
  WorkerPool pool({.name = "test", .threads = 2, .queue_max = 10, .bytes_max = 0});
  absl::Notification started, go;
  ASSERT_TRUE(pool.Submit(0, [&] {
    started.Notify();
    go.WaitForNotification();
  }));
  started.WaitForNotification();
  RunIn(pool, [&] { EXPECT_EQ(pool.Parallelism(), 1u); });
  go.Notify();
}

TEST(WorkerPoolTest, WhatIsQueuedGoesBeforeHelp) {
  WorkerPool pool({.name = "test", .threads = 2, .queue_max = 10, .bytes_max = 0});
  absl::Notification helped, queued_ran, done;
  ASSERT_TRUE(pool.Submit(0, [&] {
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<int> pieces{0};
    // The caller is held in its piece. Its helper, after one piece, must find what is queued first.
    pool.ParallelFor(10, 1, [&](size_t, size_t) {
      if (std::this_thread::get_id() == caller) {
        queued_ran.WaitForNotification();
      } else if (pieces.fetch_add(1) == 0) {
        ASSERT_TRUE(pool.Submit(0, [&] {
          EXPECT_EQ(pieces, 1);
          queued_ran.Notify();
        }));
        helped.Notify();
      }
    });
    done.Notify();
  }));
  helped.WaitForNotification();
  done.WaitForNotification();
}

TEST(WorkerPoolTest, ALoopThrowsInTheThreadThatBeganIt) {
  WorkerPool pool({.name = "test", .threads = 2, .queue_max = 10, .bytes_max = 0});
  RunIn(pool, [&] {
    EXPECT_THROW(
        pool.ParallelFor(100, 1, [](size_t, size_t) { throw std::runtime_error("no memory"); }),
        std::runtime_error);
  });
}

TEST(WorkerPoolTest, RefusesAfterStop) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 10, .bytes_max = 0});
  pool.Stop();
  EXPECT_FALSE(pool.Submit(0, [] {}));
  size_t done = 0;
  pool.ParallelFor(10, 3, [&](size_t begin, size_t end) { done += end - begin; });
  EXPECT_EQ(done, 10u);
  pool.Stop();
}

}  // namespace
}  // namespace tessera
