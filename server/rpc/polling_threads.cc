#include "server/rpc/polling_threads.h"

#include <grpcpp/version_info.h>
#include <unistd.h>

#include <algorithm>

#include "absl/synchronization/notification.h"
#include "server/rpc/polling_turn.h"

namespace tessera {
namespace {

// Whose numbers CountToHold has. Another might start fewer threads, and none may be left to poll.
constexpr bool kVersionIsKnown = GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51;

}  // namespace

// A turn that lasts until it is let go.
class PollingThreads::Hold {
 public:
  Hold() : turn_([this] { released_.WaitForNotification(); }) { turn_.Ask(); }
  ~Hold() { released_.Notify(); }

 private:
  absl::Notification released_;
  PollingTurn turn_;
};

PollingThreads::PollingThreads() {
  if (!kVersionIsKnown) return;
  const long cores = sysconf(_SC_NPROCESSORS_CONF);  // what gRPC goes by
  for (size_t i = CountToHold(static_cast<size_t>(std::max(cores, 1L))); i > 0; --i) {
    holds_.push_back(std::make_unique<Hold>());
  }
}

PollingThreads::~PollingThreads() = default;

size_t PollingThreads::CountToHold(size_t cores) {
  // Of gRPC 1.51, src/cpp/common/completion_queue_cc.cc.
  const size_t started = std::clamp<size_t>(cores / 2, 2, 16);
  const size_t polling = std::max<size_t>(cores / 4, 1);
  return started - std::min(started, polling);
}

}  // namespace tessera
