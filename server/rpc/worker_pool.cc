#include "server/rpc/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace tessera {

WorkerPool::WorkerPool(const WorkerPoolOptions& options) : options_(options) {
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
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &WorkerPool::HasWork));
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task.run();
    task.run = nullptr;  // frees what it holds before the bytes are given back
    absl::MutexLock lock(&mutex_);
    held_bytes_ -= task.bytes;
  }
}

}  // namespace tessera
