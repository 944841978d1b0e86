#ifndef TESSERA_TESTS_INDEX_TEST_EXECUTOR_H_
#define TESSERA_TESTS_INDEX_TEST_EXECUTOR_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "index/base/executor.h"

namespace tessera {

// An executor of `parallelism` threads that are started for each loop: for tests and benchmarks.
// Pieces are so many grains long and taken in whatever order the threads come.
class TestExecutor final : public Executor {
 public:
  explicit TestExecutor(size_t parallelism, size_t grains = 1)
      : parallelism_(parallelism), grains_(grains) {}

  size_t Parallelism() const override { return parallelism_; }

  void ParallelFor(size_t n, size_t grain,
                   const std::function<void(size_t, size_t)>& body) override {
    grain = std::max<size_t>(grain, 1) * grains_;
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (;;) {
        const size_t begin = next.fetch_add(grain);
        if (begin >= n) return;
        body(begin, std::min(n, begin + grain));
      }
    };
    const size_t pieces = (n + grain - 1) / grain;
    std::vector<std::thread> threads;
    for (size_t i = 1; i < std::min(parallelism_, pieces); ++i) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  const size_t parallelism_;
  const size_t grains_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_INDEX_TEST_EXECUTOR_H_
