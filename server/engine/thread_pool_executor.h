#ifndef TESSERA_SERVER_ENGINE_THREAD_POOL_EXECUTOR_H_
#define TESSERA_SERVER_ENGINE_THREAD_POOL_EXECUTOR_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/executor.h"

namespace tessera {

// The threads that training and encoding run on. Thread-safe: loops of several threads run at
// once and share the workers in turn. A caller works on its own loop too, so a loop always gets
// on, even one that is started from inside a piece of another.
class ThreadPoolExecutor final : public Executor {
 public:
  // `threads` in all, of which the caller of ParallelFor is one. `nice` (0 to 19) lets other
  // threads of the process go first: searches do not wait for training.
  explicit ThreadPoolExecutor(size_t threads, int nice = 0);
  // No loop may be running.
  ~ThreadPoolExecutor() override;
  ThreadPoolExecutor(const ThreadPoolExecutor&) = delete;
  ThreadPoolExecutor& operator=(const ThreadPoolExecutor&) = delete;

  size_t Parallelism() const override { return workers_.size() + 1; }

  // If a piece throws, the pieces that have not begun are left out, and the first exception is
  // thrown again here, once all that had begun have ended.
  void ParallelFor(size_t n, size_t grain,
                   const std::function<void(size_t begin, size_t end)>& body) override;

 private:
  // One ParallelFor. Pieces are claimed by counting `next` up; the mutex guards the rest.
  struct Loop {
    size_t n;
    size_t piece;  // a multiple of the grain
    const std::function<void(size_t, size_t)>* body;
    std::atomic<size_t> next{0};
    absl::Mutex mutex;
    size_t workers ABSL_GUARDED_BY(mutex) = 0;  // inside the loop now, but for the caller
    std::exception_ptr error ABSL_GUARDED_BY(mutex);
  };

  void Work(int nice);
  static void RunPieces(Loop& loop);
  std::shared_ptr<Loop> TakeLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopped_ || !loops_.empty(); }

  absl::Mutex mutex_;
  std::deque<std::shared_ptr<Loop>> loops_ ABSL_GUARDED_BY(mutex_);  // that have pieces left
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_THREAD_POOL_EXECUTOR_H_
