#include "server/engine/write_queue.h"

#include "index/base/limits.h"

namespace tessera {

// An exception (no memory) would leave a write half done and the queue without an end: the process
// ends instead, and a start finds what is committed.
absl::Status WriteQueue::RunTurn(const std::function<absl::Status()>& turn) noexcept {
  return turn();
}

void WriteQueue::AwaitTurn(Waiter& waiter) {
  while (!waiter.done && queue_.front() != &waiter) waiter.woken.Wait(&mutex_);
}

void WriteQueue::WakeFirst() {
  if (!queue_.empty()) queue_.front()->woken.Signal();
}

absl::Status WriteQueue::Submit(PendingWrite& write) {
  Waiter self;
  self.write = &write;
  std::vector<PendingWrite*> group;
  {
    absl::MutexLock lock(&mutex_);
    queue_.push_back(&self);
    AwaitTurn(self);
    if (self.done) return self.status;
    size_t points = 0;
    for (const Waiter* waiter : queue_) {
      if (waiter->write == nullptr) break;
      points += waiter->write->size();
      if (!group.empty() && points > limits::kGroupCommitPointsMax) break;
      group.push_back(waiter->write);
    }
  }
  // The group stays at the head of the queue meanwhile, so nobody else takes a turn.
  const absl::Status status = RunTurn([&] { return commit_(group); });
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < group.size(); ++i) {
    Waiter* waiter = queue_.front();
    queue_.pop_front();
    waiter->status = status;
    waiter->done = true;
    if (waiter != &self) waiter->woken.Signal();
  }
  WakeFirst();
  return status;
}

absl::Status WriteQueue::RunExclusive(const std::function<absl::Status()>& section) {
  Waiter self;
  {
    absl::MutexLock lock(&mutex_);
    queue_.push_back(&self);
    AwaitTurn(self);
  }
  const absl::Status status = RunTurn(section);
  absl::MutexLock lock(&mutex_);
  queue_.pop_front();
  WakeFirst();
  return status;
}

}  // namespace tessera
