#include "server/engine/thread_pool_executor.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>

namespace tessera {
namespace {

// Enough to even out uneven ones, few enough that claiming them costs nothing.
constexpr size_t kPiecesPerThread = 8;

}  // namespace

ThreadPoolExecutor::ThreadPoolExecutor(size_t threads, int nice) : LoopExecutor(kPiecesPerThread) {
  for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this, nice] { Work(nice); });
}

ThreadPoolExecutor::~ThreadPoolExecutor() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPoolExecutor::Work(int nice) {
  pthread_setname_np(pthread_self(), "background");
  // Linux applies this to the calling thread alone. Without the right to do it nothing is lost.
  if (nice > 0) setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice);
  while (true) {
    std::shared_ptr<ParallelLoop> loop;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &ThreadPoolExecutor::HasWork));
      if (stopped_) return;
      loop = TakeLoop();
    }
    if (loop != nullptr) loop->Help();
  }
}

}  // namespace tessera
