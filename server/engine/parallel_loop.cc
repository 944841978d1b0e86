#include "server/engine/parallel_loop.h"

#include <algorithm>
#include <utility>

namespace tessera {

void ParallelLoop::Run() {
  while (RunPiece()) {
  }
}

void ParallelLoop::Help() {
  // Before the claim: whoever waits for the helpers has found that no piece is left.
  {
    absl::MutexLock lock(&mutex_);
    ++helpers_;
  }
  RunPiece();
  absl::MutexLock lock(&mutex_);
  --helpers_;
}

// False if none was left.
bool ParallelLoop::RunPiece() {
  const size_t begin = next_.fetch_add(piece_, std::memory_order_relaxed);
  if (begin >= n_) return false;
  try {
    body_(begin, std::min(n_, begin + piece_));
  } catch (...) {
    next_.store(n_, std::memory_order_relaxed);
    absl::MutexLock lock(&mutex_);
    if (!error_) error_ = std::current_exception();
  }
  return true;
}

void ParallelLoop::AwaitHelpers() {
  std::exception_ptr error;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](size_t* helpers) { return *helpers == 0; }, &helpers_));
    error = error_;
  }
  if (error) std::rethrow_exception(error);
}

void LoopExecutor::ParallelFor(size_t n, size_t grain, const ParallelLoop::Body& body) {
  grain = std::max<size_t>(grain, 1);
  const size_t grains = (n + grain - 1) / grain;
  const size_t grains_a_piece = std::max<size_t>(1, grains / (Parallelism() * pieces_per_thread_));
  const auto loop = std::make_shared<ParallelLoop>(n, grain * grains_a_piece, body);
  if (const size_t pieces = loop->pieces(); pieces > 1) {
    absl::MutexLock lock(&mutex_);
    waiting_.push_back({loop, pieces - 1});
  }
  loop->Run();
  if (loop->pieces() > 1) {
    absl::MutexLock lock(&mutex_);
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.loop == loop; });
  }
  loop->AwaitHelpers();
}

std::shared_ptr<ParallelLoop> LoopExecutor::TakeLoop() {
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  if (!next.loop->has_pieces_left()) return nullptr;
  std::shared_ptr<ParallelLoop> loop = next.loop;
  // To the end of the row, so that the next thread looks at another loop first.
  if (--next.helpers > 0) waiting_.push_back(std::move(next));
  return loop;
}

}  // namespace tessera
