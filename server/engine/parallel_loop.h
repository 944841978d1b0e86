#ifndef TESSERA_SERVER_ENGINE_PARALLEL_LOOP_H_
#define TESSERA_SERVER_ENGINE_PARALLEL_LOOP_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/executor.h"

namespace tessera {

// One Executor::ParallelFor: pieces of [0, n) that the caller and the threads that help it claim
// until none is left. Thread-safe. Helpers share it, since one may come when all is done.
class ParallelLoop {
 public:
  using Body = std::function<void(size_t begin, size_t end)>;

  // `body` outlives AwaitHelpers(); afterwards nobody calls it.
  ParallelLoop(size_t n, size_t piece, const Body& body) : n_(n), piece_(piece), body_(body) {}

  size_t pieces() const { return (n_ + piece_ - 1) / piece_; }
  bool has_pieces_left() const { return next_.load(std::memory_order_relaxed) < n_; }

  // For the caller: runs pieces until none is left.
  void Run();
  // For a helper: runs one, if there is one left.
  void Help();
  // Waits for the helpers that are in a piece. If a piece has thrown, those that had not begun have
  // been left out, and the first exception is thrown again here.
  void AwaitHelpers();

 private:
  bool RunPiece();

  const size_t n_;
  const size_t piece_;
  const Body& body_;
  std::atomic<size_t> next_{0};
  absl::Mutex mutex_;
  size_t helpers_ ABSL_GUARDED_BY(mutex_) = 0;  // inside the loop now
  std::exception_ptr error_ ABSL_GUARDED_BY(mutex_);
};

// An executor whose threads wait under its mutex for loops to help with, and for what else they are
// there for. Each loop is helped in its turn, a piece at a time.
class LoopExecutor : public Executor {
 public:
  // The caller works on its own loop too, so a loop always gets on, even one that is started from
  // inside a piece of another.
  void ParallelFor(size_t n, size_t grain, const ParallelLoop::Body& body) final
      ABSL_LOCKS_EXCLUDED(mutex_);

 protected:
  // Pieces are grains, or multiples of them where there would be more than `pieces_per_thread`.
  explicit LoopExecutor(size_t pieces_per_thread) : pieces_per_thread_(pieces_per_thread) {}

  bool HasLoop() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !waiting_.empty(); }
  // The next loop, for a thread to help with once it has let the mutex go; null if it has no piece
  // left.
  std::shared_ptr<ParallelLoop> TakeLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;

 private:
  struct Waiting {
    std::shared_ptr<ParallelLoop> loop;
    size_t helpers;  // that it has use for, a piece each
  };

  const size_t pieces_per_thread_;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_PARALLEL_LOOP_H_
