#include "server/engine/maintenance.h"

#include <utility>

namespace tessera {

Maintenance::Maintenance(std::function<bool()> step)
    : step_(std::move(step)), thread_([this] { Run(); }) {}

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
      if (!more) mutex_.Await(absl::Condition(this, &Maintenance::HasReason));
      if (stopped_) return;
      awake_ = false;
    }
    more = step_();
  }
}

}  // namespace tessera
