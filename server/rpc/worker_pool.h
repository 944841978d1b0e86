#ifndef TESSERA_SERVER_RPC_WORKER_POOL_H_
#define TESSERA_SERVER_RPC_WORKER_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/parallel_loop.h"

namespace tessera {

struct WorkerPoolOptions {
  std::string name;  // of the threads; at most 15 bytes of it are shown
  size_t threads = 1;
  size_t queue_max = 1;  // tasks that wait
  size_t bytes_max = 0;  // of tasks that wait or run; one task alone may be larger
};

// A fixed number of threads behind a bounded queue: first in, first out. What does not fit is
// refused at once, so that an overloaded server says so instead of growing. Threads for which
// nothing is queued help with the loops of tasks that run. Thread-safe.
//
// A task that throws ends the process: tasks catch what they can meet.
class WorkerPool final : public LoopExecutor {
 public:
  explicit WorkerPool(const WorkerPoolOptions& options);
  ~WorkerPool() override;  // as Stop
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Has a thread run `task`, which holds `bytes` of memory until it returns. False, and the task
  // is dropped, if the queue or the byte budget is full or the pool has stopped.
  [[nodiscard]] bool Submit(size_t bytes, std::function<void()> task);

  size_t threads() const { return options_.threads; }

  // For tasks: the threads that have nothing to do now, and the caller's.
  size_t Parallelism() const override ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs what is queued and joins the threads. Idempotent; not from a task.
  void Stop();

 private:
  struct Task {
    size_t bytes;
    std::function<void()> run;
  };

  void Work();
  // Runs the next task, or else helps a loop. False if the pool has stopped and none is left.
  bool WorkOnce() ABSL_LOCKS_EXCLUDED(mutex_);
  void AwaitWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || !queue_.empty() || HasLoop();
  }

  const WorkerPoolOptions options_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;  // threads
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_WORKER_POOL_H_
