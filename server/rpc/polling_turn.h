#ifndef TESSERA_SERVER_RPC_POLLING_TURN_H_
#define TESSERA_SERVER_RPC_POLLING_TURN_H_

#include <functional>
#include <memory>

namespace tessera {

// Runs a function in one of the threads that gRPC polls with, once what such a thread has received
// already has been handed out. It costs some microseconds, but wakes nobody if asked for from a
// polling thread.
class PollingTurn {
 public:
  // `run` must not block for long, and may ask again.
  explicit PollingTurn(std::function<void()> run);
  ~PollingTurn();  // waits until `run` has returned, if it was asked for
  PollingTurn(const PollingTurn&) = delete;
  PollingTurn& operator=(const PollingTurn&) = delete;

  // Not again before `run` has begun.
  void Ask();

 private:
  class Call;
  const std::unique_ptr<Call> call_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_POLLING_TURN_H_
