#include "server/engine/maintenance.h"

#include <utility>

namespace tessera {

Maintenance::Maintenance(absl::Duration period, std::function<bool()> step)
    : period_(period), step_(std::move(step)), thread_([this] { Run(); }) {}

void Maintenance::Wake() {
  absl::MutexLock lock(&mutex_);
  awake_ = true;
}

void Maintenance::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Maintenance::Run() {
  bool more = false;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (!more) mutex_.AwaitWithTimeout(absl::Condition(this, &Maintenance::HasReason), period_);
      if (stopped_) return;
      awake_ = false;
    }
    more = step_();
  }
}

}  // namespace tessera
