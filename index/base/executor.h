#ifndef TESSERA_INDEX_BASE_EXECUTOR_H_
#define TESSERA_INDEX_BASE_EXECUTOR_H_

#include <algorithm>
#include <cstddef>
#include <functional>

namespace tessera {

// Runs loops on threads that somebody else owns: the index never starts a thread of its own.
// Implementations are thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  // How many pieces can run at once, at least 1.
  virtual size_t Parallelism() const = 0;

  // Calls body(begin, end) on pieces that cover [0, n) without overlap, each a multiple of `grain`
  // long but the last, and returns when all have returned. Pieces may run at once and in any order.
  virtual void ParallelFor(size_t n, size_t grain,
                           const std::function<void(size_t begin, size_t end)>& body) = 0;
};

// Runs everything in the calling thread.
class InlineExecutor final : public Executor {
 public:
  size_t Parallelism() const override { return 1; }
  void ParallelFor(size_t n, size_t grain,
                   const std::function<void(size_t, size_t)>& body) override {
    grain = std::max<size_t>(grain, 1);
    for (size_t begin = 0; begin < n; begin += grain) body(begin, std::min(n, begin + grain));
  }
};

// Told how far long work has come; asked whether to go on. Called from one thread at a time.
class ProgressObserver {
 public:
  virtual ~ProgressObserver() = default;
  // `phase` names a step ("coarse k-means"), done <= total in the step's own unit.
  // Returns false to cancel: the work stops soon and returns CANCELLED.
  virtual bool OnProgress(const char* phase, size_t done, size_t total) = 0;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_EXECUTOR_H_
