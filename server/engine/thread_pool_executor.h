#ifndef TESSERA_SERVER_ENGINE_THREAD_POOL_EXECUTOR_H_
#define TESSERA_SERVER_ENGINE_THREAD_POOL_EXECUTOR_H_

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/parallel_loop.h"

namespace tessera {

// The threads that training and encoding run on. Thread-safe: loops of several threads run at
// once and share the workers in turn. A caller works on its own loop too, so a loop always gets
// on, even one that is started from inside a piece of another.
class ThreadPoolExecutor final : public LoopExecutor {
 public:
  // `threads` in all, of which the caller of ParallelFor is one. `nice` (0 to 19) lets other
  // threads of the process go first: searches do not wait for training.
  explicit ThreadPoolExecutor(size_t threads, int nice = 0);
  // No loop may be running.
  ~ThreadPoolExecutor() override;
  ThreadPoolExecutor(const ThreadPoolExecutor&) = delete;
  ThreadPoolExecutor& operator=(const ThreadPoolExecutor&) = delete;

  size_t Parallelism() const override { return workers_.size() + 1; }

 private:
  void Work(int nice);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopped_ || HasLoop(); }

  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_THREAD_POOL_EXECUTOR_H_
