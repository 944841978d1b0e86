#ifndef TESSERA_SERVER_RPC_WATCH_HUB_H_
#define TESSERA_SERVER_RPC_WATCH_HUB_H_

#include <thread>
#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tessera {

// Something that looks for news from time to time.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // Called by the hub's thread, soon after the watcher was added and then every interval.
  virtual void Tick() = 0;
};

// One thread that serves all open watches, however many: a watch that waits costs no worker.
// Thread-safe.
class WatchHub {
 public:
  explicit WatchHub(absl::Duration interval);
  ~WatchHub();  // as Stop
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  void Add(Watcher* watcher);
  // On return the hub no longer calls the watcher: it may be deleted. Not from Tick.
  void Remove(Watcher* watcher);
  // Joins the thread. Idempotent.
  void Stop();

 private:
  void Run();
  bool ShouldWake() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopped_ || has_new_; }

  const absl::Duration interval_;
  absl::Mutex mutex_;
  std::unordered_set<Watcher*> watchers_ ABSL_GUARDED_BY(mutex_);
  bool has_new_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_WATCH_HUB_H_
