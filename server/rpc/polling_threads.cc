#include "server/rpc/polling_threads.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <unistd.h>

#include <algorithm>

#include "absl/synchronization/notification.h"

namespace tessera {

// A call on a channel without credentials fails at once, and its completion runs on one of the
// threads that are meant: it stays there until it is let go.
class PollingThreads::Hold {
 public:
  Hold() : stub_(grpc::CreateChannel("", nullptr)), request_(&nothing_, 1) {
    stub_.UnaryCall(&context_, "/", {}, &request_, &response_, [this](const grpc::Status&) {
      released_.WaitForNotification();
      done_.Notify();
    });
  }
  ~Hold() {
    released_.Notify();
    done_.WaitForNotification();
  }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const grpc::Slice nothing_;
  grpc::ByteBuffer request_, response_;
  absl::Notification released_, done_;
};

PollingThreads::PollingThreads() {
  const long cores = sysconf(_SC_NPROCESSORS_CONF);  // what gRPC goes by
  for (size_t i = CountToHold(static_cast<size_t>(std::max(cores, 1L))); i > 0; --i) {
    holds_.push_back(std::make_unique<Hold>());
  }
}

PollingThreads::~PollingThreads() = default;

size_t PollingThreads::CountToHold(size_t cores) {
  // As gRPC 1.51 has it, src/cpp/common/completion_queue_cc.cc.
  const size_t started = std::clamp<size_t>(cores / 2, 2, 16);
  const size_t polling = std::max<size_t>(cores / 4, 1);
  return started - std::min(started, polling);
}

}  // namespace tessera
