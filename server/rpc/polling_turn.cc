#include "server/rpc/polling_turn.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tessera {

// A call on a channel without credentials fails at once, and its completion goes to the end of the
// queue that gRPC's polling threads take their events from.
class PollingTurn::Call {
 public:
  explicit Call(std::function<void()> run)
      : run_(std::move(run)), stub_(grpc::CreateChannel("", nullptr)), request_(&nothing_, 1) {}

  ~Call() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Call::NoneAsked));
  }

  void Ask() {
    {
      absl::MutexLock lock(&mutex_);
      ++asked_;
      // The call before is over: whoever asks again does so in its completion, or after it.
      context_.emplace();
    }
    stub_.UnaryCall(&*context_, "/", {}, &request_, &response_, [this](const grpc::Status&) {
      run_();
      absl::MutexLock lock(&mutex_);
      --asked_;
    });
  }

 private:
  bool NoneAsked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return asked_ == 0; }

  const std::function<void()> run_;
  grpc::GenericStub stub_;
  const grpc::Slice nothing_;
  const grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::optional<grpc::ClientContext> context_;
  absl::Mutex mutex_;
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;
};

PollingTurn::PollingTurn(std::function<void()> run)
    : call_(std::make_unique<Call>(std::move(run))) {}
PollingTurn::~PollingTurn() = default;

void PollingTurn::Ask() { call_->Ask(); }

}  // namespace tessera
