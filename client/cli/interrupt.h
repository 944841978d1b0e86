#ifndef TESSERA_CLIENT_CLI_INTERRUPT_H_
#define TESSERA_CLIENT_CLI_INTERRUPT_H_

#include <signal.h>

#include <atomic>
#include <thread>

namespace tessera::cli {

// While it lives, the first SIGINT or SIGTERM is noted instead of ending the process, so that long
// work can stop at a good place and say how far it came; the second ends the process with code 130.
// To be made by the main thread. One at a time.
class InterruptWatcher {
 public:
  InterruptWatcher();
  ~InterruptWatcher();
  InterruptWatcher(const InterruptWatcher&) = delete;
  InterruptWatcher& operator=(const InterruptWatcher&) = delete;

  bool Interrupted() const { return interrupted_.load(std::memory_order_relaxed); }

 private:
  void Watch();

  int signal_fd_ = -1;
  int stop_fd_ = -1;
  sigset_t previous_;
  std::atomic<bool> interrupted_ = false;
  std::thread thread_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_INTERRUPT_H_
