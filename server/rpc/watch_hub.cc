#include "server/rpc/watch_hub.h"

#include <pthread.h>

namespace tessera {

WatchHub::WatchHub(absl::Duration interval) : interval_(interval), thread_([this] { Run(); }) {}

WatchHub::~WatchHub() { Stop(); }

void WatchHub::Add(Watcher* watcher) {
  absl::MutexLock lock(&mutex_);
  watchers_.insert(watcher);
  has_new_ = true;
}

void WatchHub::Remove(Watcher* watcher) {
  absl::MutexLock lock(&mutex_);
  watchers_.erase(watcher);
}

void WatchHub::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void WatchHub::Run() {
  pthread_setname_np(pthread_self(), "watch");
  absl::MutexLock lock(&mutex_);
  while (!stopped_) {
    has_new_ = false;
    // The lock is held, so that Remove waits for the ticks and no watcher goes away under them.
    for (Watcher* watcher : watchers_) watcher->Tick();
    mutex_.AwaitWithTimeout(absl::Condition(this, &WatchHub::ShouldWake), interval_);
  }
}

}  // namespace tessera
