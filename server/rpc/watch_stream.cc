#include "server/rpc/watch_stream.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/operations.pb.h"

namespace tessera {
namespace {

// The hub's thread looks; while a message is on its way out it only looks on. Whoever sets
// finished_ under the lock calls Finish, outside of it.
class WatchStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public Watcher {
 public:
  explicit WatchStream(const ServiceEnv& env) : env_(env), hold_(env.calls) {}

  void Start(const grpc::CallbackServerContext& context, const grpc::ByteBuffer* request_bytes) {
    const absl::Status status = RunGuarded([&]() -> absl::Status {
      ASSIGN_OR_RETURN(engine_, env_.Admit("Operations.Watch", context));
      v1::WatchOperationRequest request;
      // The buffer is this call's alone: parsing may free it.
      RETURN_IF_ERROR(ParseRequest(const_cast<grpc::ByteBuffer*>(request_bytes), &request));
      RETURN_IF_ERROR(CheckOperationId(request.operation_id()));
      id_ = request.operation_id();
      return absl::OkStatus();
    });
    if (status.ok()) {
      env_.watches.Add(this);
    } else {
      End(status);
    }
  }

  void Tick() override {
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      if (finished_ || writing_) return;
      status = RunGuarded([this] {
        mutex_.AssertHeld();
        return Look();
      });
      if (status.ok()) return;
      finished_ = true;
    }
    FinishWith(status);
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      if (finished_ || (ok && !ended_)) return;
      finished_ = true;
    }
    FinishWith(ok ? absl::OkStatus() : absl::CancelledError("the client has gone"));
  }

  void OnCancel() override { End(CallCancelled()); }
  void OnDone() override {
    env_.watches.Remove(this);
    delete this;
  }

 private:
  // Sends the operation if it has moved since it was sent last.
  absl::Status Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ASSIGN_OR_RETURN(const OperationInfo info, engine_->GetOperation(id_));
    if (env_.engine.stopping() && info.state == OperationState::kRunning) {
      return ServerStoppingError();
    }
    if (sent_revision_ == info.revision) return absl::OkStatus();
    v1::Operation operation;
    FromOperationInfo(info, &operation);
    message_.Clear();
    RETURN_IF_ERROR(SerializeResponse(operation, &message_));
    sent_revision_ = info.revision;
    ended_ = info.state != OperationState::kRunning;
    writing_ = true;
    StartWrite(&message_);
    return absl::OkStatus();
  }

  void End(const absl::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      if (finished_) return;
      finished_ = true;
    }
    FinishWith(status);
  }

  void FinishWith(const absl::Status& status) {
    env_.NoteEnd("Operations.Watch", hold_, status);
    Finish(ToGrpcStatus(status));  // may delete this
  }

  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  Engine* engine_ = nullptr;
  std::string id_;
  grpc::ByteBuffer message_;

  absl::Mutex mutex_;
  std::optional<uint64_t> sent_revision_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* StartWatchStream(
    const ServiceEnv& env, const grpc::CallbackServerContext& context,
    const grpc::ByteBuffer* request) {
  auto* stream = new WatchStream(env);
  stream->Start(context, request);
  return stream;
}

}  // namespace tessera
