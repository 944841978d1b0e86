#include "server/rpc/upsert_stream.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/errors.h"
#include "server/rpc/points_handlers.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"

namespace tessera {
namespace {

// The stream is idle, or one chunk is with a worker or its answer is on the way out (busy_).
// Reading goes on beside that until one chunk waits. Every event ends in Advance, which decides
// under the lock what comes next. Finish is called outside of the lock and once: it may delete
// the stream.
class UpsertStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                           public StoppableStream {
 public:
  explicit UpsertStream(const ServiceEnv& env) : env_(env), hold_(env.calls) {}

  void Start(const grpc::CallbackServerContext& context) {
    const absl::StatusOr<Engine*> engine = env_.Admit("Points.UpsertStream", context);
    if (!engine.ok()) {
      FinishOnce(engine.status());
      return;
    }
    {
      absl::MutexLock lock(&mutex_);
      engine_ = *engine;
      reading_ = true;
      StartRead(&incoming_);
    }
    env_.streams.Add(this);
  }

  void OnReadDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      reading_ = false;
      if (ok) {
        waiting_.emplace();
        waiting_->Swap(&incoming_);
      } else {
        no_more_ = true;
      }
    }
    Advance();
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      busy_ = false;
      if (!ok && end_.ok()) end_ = absl::CancelledError("the client has gone");
    }
    Advance();
  }

  void OnCancel() override {
    {
      absl::MutexLock lock(&mutex_);
      if (end_.ok()) end_ = CallCancelled();
    }
    Advance();
  }

  void Stop() override {
    {
      absl::MutexLock lock(&mutex_);
      if (end_.ok()) end_ = ServerStoppingError();
    }
    Advance();
  }

  void OnDone() override {
    env_.streams.Remove(this);
    delete this;
  }

 private:
  void Advance() {
    absl::Status finish;
    {
      absl::MutexLock lock(&mutex_);
      if (finished_) return;
      if (!busy_ && end_.ok() && waiting_.has_value()) Dispatch();
      const bool all_done = no_more_ && !waiting_.has_value();
      if (!busy_ && (!end_.ok() || all_done)) {
        finished_ = true;
        finish = end_;
      } else {
        if (!reading_ && !no_more_ && end_.ok() && !waiting_.has_value()) {
          reading_ = true;
          StartRead(&incoming_);
        }
        return;
      }
    }
    env_.NoteEnd("Points.UpsertStream", hold_, finish);
    Finish(ToGrpcStatus(finish));
  }

  // Hands the waiting chunk to a worker.
  void Dispatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    chunk_.Clear();
    chunk_.Swap(&*waiting_);
    waiting_.reset();
    busy_ = env_.write_pool.Submit(chunk_.Length(), [this] { WriteChunk(); });
    if (!busy_) end_ = ServerBusyError();
  }

  // On a worker's thread. While busy_, the chunk and the answer belong to it.
  void WriteChunk() {
    absl::Status status = End();  // while the chunk was waiting
    if (status.ok()) status = RunGuarded([this] { return Upsert(); });
    {
      absl::MutexLock lock(&mutex_);
      if (status.ok() && !finished_) {
        StartWrite(&answer_);  // stays busy until OnWriteDone
        return;
      }
      busy_ = false;
      if (end_.ok()) end_ = status;
    }
    Advance();
  }

  absl::Status End() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return end_;
  }

  absl::Status Upsert() {
    v1::UpsertRequest request;
    if (absl::Status status = ParseRequest(&chunk_, &request); !status.ok()) return status;
    if (request.collection_name().empty()) {
      request.set_collection_name(collection_);
    } else {
      collection_ = request.collection_name();
    }
    v1::UpsertResponse response;
    if (absl::Status status = HandleUpsert(*engine_, request, &response); !status.ok()) {
      return status;
    }
    answer_.Clear();
    return SerializeResponse(response, &answer_);
  }

  void FinishOnce(const absl::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      finished_ = true;
    }
    Finish(ToGrpcStatus(status));
  }

  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  Engine* engine_ = nullptr;
  std::string collection_;     // of the chunk before
  grpc::ByteBuffer incoming_;  // being read
  grpc::ByteBuffer chunk_;     // with a worker
  grpc::ByteBuffer answer_;

  absl::Mutex mutex_;
  std::optional<grpc::ByteBuffer> waiting_ ABSL_GUARDED_BY(mutex_);
  absl::Status end_ ABSL_GUARDED_BY(mutex_);  // not OK: how the stream is to end
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool no_more_ ABSL_GUARDED_BY(mutex_) = false;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartUpsertStream(
    const ServiceEnv& env, const grpc::CallbackServerContext& context) {
  auto* stream = new UpsertStream(env);
  stream->Start(context);
  return stream;
}

}  // namespace tessera
