#include "server/rpc/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace tessera {
namespace {

// A thread comes back to what is queued after each piece, so pieces stay as small as they are made.
constexpr size_t kPiecesPerThreadMost = size_t{1} << 32;

}  // namespace

WorkerPool::WorkerPool(const WorkerPoolOptions& options)
    : LoopExecutor(kPiecesPerThreadMost), options_(options) {
  const size_t threads = std::max<size_t>(options_.threads, 1);
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::Submit(size_t bytes, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || queue_.size() >= options_.queue_max) return false;
  if (held_bytes_ > 0 && bytes > options_.bytes_max - std::min(options_.bytes_max, held_bytes_)) {
    return false;
  }
  held_bytes_ += bytes;
  queue_.push_back({bytes, std::move(task)});
  return true;
}

void WorkerPool::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::Work() {
  pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
  while (WorkOnce()) {
  }
}

size_t WorkerPool::Parallelism() const {
  absl::MutexLock lock(&mutex_);
  return 1 + idle_ - std::min(idle_, queue_.size());
}

void WorkerPool::AwaitWork() {
  ++idle_;
  mutex_.Await(absl::Condition(this, &WorkerPool::HasWork));
  --idle_;
}

bool WorkerPool::WorkOnce() {
  Task task;
  std::shared_ptr<ParallelLoop> loop;
  {
    absl::MutexLock lock(&mutex_);
    AwaitWork();
    if (!queue_.empty()) {
      task = std::move(queue_.front());
      queue_.pop_front();
    } else if (HasLoop()) {
      loop = TakeLoop();
    } else {
      return false;
    }
  }
  if (task.run == nullptr) {
    if (loop != nullptr) loop->Help();
    return true;
  }
  task.run();
  task.run = nullptr;  // frees what it holds before the bytes are given back
  absl::MutexLock lock(&mutex_);
  held_bytes_ -= task.bytes;
  return true;
}

}  // namespace tessera
