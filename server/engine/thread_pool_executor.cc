#include "server/engine/thread_pool_executor.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tessera {
namespace {

// Pieces per thread: enough to even out uneven ones, few enough that claiming them costs nothing.
constexpr size_t kPiecesPerThread = 8;

// The grain, or the multiple of it that makes about kPiecesPerThread pieces a thread.
size_t PieceSize(size_t n, size_t grain, size_t threads) {
  const size_t grains = (n + grain - 1) / grain;
  return grain * std::max<size_t>(1, grains / (threads * kPiecesPerThread));
}

}  // namespace

ThreadPoolExecutor::ThreadPoolExecutor(size_t threads, int nice) {
  for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this, nice] { Work(nice); });
}

ThreadPoolExecutor::~ThreadPoolExecutor() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPoolExecutor::ParallelFor(size_t n, size_t grain,
                                     const std::function<void(size_t, size_t)>& body) {
  if (n == 0) return;
  grain = std::max<size_t>(grain, 1);
  auto loop = std::make_shared<Loop>();
  loop->n = n;
  loop->piece = PieceSize(n, grain, Parallelism());
  loop->body = &body;
  if (n > loop->piece) {
    absl::MutexLock lock(&mutex_);
    loops_.push_back(loop);
  }
  RunPieces(*loop);
  if (n > loop->piece) {
    // Nobody may enter the loop any more; then those who are in it are waited for.
    absl::MutexLock lock(&mutex_);
    const auto at = std::find(loops_.begin(), loops_.end(), loop);
    if (at != loops_.end()) loops_.erase(at);
  }
  std::exception_ptr error;
  {
    absl::MutexLock lock(&loop->mutex);
    loop->mutex.Await(absl::Condition(
        +[](size_t* workers) { return *workers == 0; }, &loop->workers));
    error = loop->error;
  }
  if (error) std::rethrow_exception(error);
}

std::shared_ptr<ThreadPoolExecutor::Loop> ThreadPoolExecutor::TakeLoop() {
  std::shared_ptr<Loop> loop = std::move(loops_.front());
  loops_.pop_front();
  if (loop->next.load(std::memory_order_relaxed) >= loop->n) return nullptr;
  // Back to the end of the row, so that the next worker looks at another loop first.
  loops_.push_back(loop);
  absl::MutexLock lock(&loop->mutex);
  ++loop->workers;
  return loop;
}

void ThreadPoolExecutor::Work(int nice) {
  pthread_setname_np(pthread_self(), "background");
  // Linux applies this to the calling thread alone. Without the right to do it nothing is lost.
  if (nice > 0) setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice);
  while (true) {
    std::shared_ptr<Loop> loop;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &ThreadPoolExecutor::HasWork));
      if (stopped_) return;
      loop = TakeLoop();
    }
    if (loop == nullptr) continue;
    RunPieces(*loop);
    absl::MutexLock lock(&loop->mutex);
    --loop->workers;
  }
}

void ThreadPoolExecutor::RunPieces(Loop& loop) {
  while (true) {
    const size_t begin = loop.next.fetch_add(loop.piece, std::memory_order_relaxed);
    if (begin >= loop.n) return;
    try {
      (*loop.body)(begin, std::min(loop.n, begin + loop.piece));
    } catch (...) {
      loop.next.store(loop.n, std::memory_order_relaxed);
      absl::MutexLock lock(&loop.mutex);
      if (!loop.error) loop.error = std::current_exception();
      return;
    }
  }
}

}  // namespace tessera
