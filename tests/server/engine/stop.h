#ifndef TESSERA_TESTS_SERVER_ENGINE_STOP_H_
#define TESSERA_TESTS_SERVER_ENGINE_STOP_H_

#include <atomic>

namespace tessera {

// Lets a test stop another thread in the middle of its work. Each time that it is armed, it is
// passed once.
struct Stop {
  std::atomic<bool> armed{false}, reached{false}, open{false};

  void Arm() {
    reached = open = false;
    armed = true;
  }
  void Pass() {
    if (!armed.exchange(false)) return;
    reached = true;
    reached.notify_all();
    open.wait(false);
  }
  void AwaitReached() { reached.wait(false); }
  void Open() {
    open = true;
    open.notify_all();
  }
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_STOP_H_
