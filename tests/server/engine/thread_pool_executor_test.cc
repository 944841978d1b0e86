#include "server/engine/thread_pool_executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"

namespace tessera {
namespace {

// Every element once, pieces of whole grains.
void CheckCover(Executor& executor, size_t n, size_t grain) {
  std::vector<std::atomic<int>> touched(n);
  executor.ParallelFor(n, grain, [&](size_t begin, size_t end) {
    EXPECT_LT(begin, end);
    EXPECT_EQ(begin % grain, 0u);
    EXPECT_TRUE(end == n || end % grain == 0u);
    for (size_t i = begin; i < end; ++i) ++touched[i];
  });
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(touched[i], 1) << i << " of " << n;
}

TEST(ThreadPoolExecutorTest, CoversEveryElementOnce) {
  for (const size_t threads : {1u, 2u, 5u}) {
    ThreadPoolExecutor executor(threads);
    EXPECT_EQ(executor.Parallelism(), threads);
    for (const size_t n : {0u, 1u, 2u, 63u, 64u, 65u, 1'000u}) {
      for (const size_t grain : {1u, 2u, 64u, 5'000u}) CheckCover(executor, n, grain);
    }
  }
}

TEST(ThreadPoolExecutorTest, RunsPiecesAtOnce) {
  constexpr size_t kThreads = 3;
  ThreadPoolExecutor executor(kThreads);
  // Passes only if three threads are in a piece at the same time.
  auto* barrier = new absl::Barrier(kThreads);
  executor.ParallelFor(kThreads, 1, [&](size_t, size_t) {
    if (barrier->Block()) delete barrier;
  });
}

TEST(ThreadPoolExecutorTest, ServesSeveralCallersAtOnce) {
  ThreadPoolExecutor executor(3, /*nice=*/5);
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) CheckCover(executor, 257, 4);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPoolExecutorTest, ALoopMayStartAnother) {
  ThreadPoolExecutor executor(2);
  std::atomic<int> sum{0};
  executor.ParallelFor(4, 1, [&](size_t, size_t) {
    executor.ParallelFor(10, 1,
                         [&](size_t begin, size_t end) { sum += static_cast<int>(end - begin); });
  });
  EXPECT_EQ(sum, 40);
}

TEST(ThreadPoolExecutorTest, ThrowsInTheCallersThread) {
  ThreadPoolExecutor executor(2);
  EXPECT_THROW(
      executor.ParallelFor(100, 1, [](size_t, size_t) { throw std::runtime_error("no memory"); }),
      std::runtime_error);
  CheckCover(executor, 100, 1);
}

}  // namespace
}  // namespace tessera
