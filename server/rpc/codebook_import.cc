#include "server/rpc/codebook_import.h"

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/codebooks.pb.h"

namespace tessera {
namespace {

// Reads a chunk and has a worker take it, one after the other until the client has sent all, and
// then has a worker import the whole. Stop and cancellation may come at any time; who ends the call
// first, under the lock, is the one that calls Finish. While a worker has the call, it is the
// worker that ends it; once the engine has the bytes, nobody else does.
class CodebookImport final : public grpc::ServerReadReactor<grpc::ByteBuffer>,
                             public StoppableStream {
 public:
  CodebookImport(const ServiceEnv& env, CodebookBudget& budget, grpc::ByteBuffer* response)
      : env_(env), hold_(env.calls), budget_(budget), response_(response) {}
  ~CodebookImport() override { budget_.GiveBack(held_); }

  void Start(const grpc::CallbackServerContext& context) {
    const absl::StatusOr<Engine*> engine = env_.Admit("Codebooks.Import", context);
    if (!engine.ok()) {
      End(engine.status());
      return;
    }
    engine_ = *engine;
    StartRead(&incoming_);
    env_.streams.Add(this);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      HandOver(incoming_.Length(), &CodebookImport::TakeChunkUnlessEnded);
      return;
    }
    // All is read, or the call is broken: only what is sent to the client tells which.
    absl::MutexLock lock(&mutex_);
    if (phase_ == Phase::kReading) StartSendInitialMetadata();
  }

  void OnSendInitialMetadataDone(bool ok) override {
    if (ok) {
      HandOver(0, &CodebookImport::ImportUnlessEnded);
    } else {
      End(absl::CancelledError("the client has gone"));
    }
  }

  void OnCancel() override { End(CallCancelled()); }
  void Stop() override { End(ServerStoppingError()); }
  void OnDone() override {
    env_.streams.Remove(this);
    delete this;
  }

 private:
  enum class Phase { kReading, kWithWorker, kImporting, kEnded };

  // Has a worker do a step, unless the call has ended.
  void HandOver(size_t bytes, void (CodebookImport::*step)()) {
    {
      absl::MutexLock lock(&mutex_);
      if (phase_ != Phase::kReading) return;
      if (env_.write_pool.Submit(bytes, [this, step] { (this->*step)(); })) {
        phase_ = Phase::kWithWorker;
        return;
      }
    }
    End(ServerBusyError());
  }

  // On a worker's thread, as ImportUnlessEnded: a chunk is up to 64 MiB.
  void TakeChunkUnlessEnded() {
    absl::Status status = EndSoFar();
    if (status.ok()) status = RunGuarded([this] { return TakeChunk(); });
    {
      absl::MutexLock lock(&mutex_);
      if (status.ok()) status = end_;
      if (status.ok()) {
        phase_ = Phase::kReading;
        StartRead(&incoming_);
        return;
      }
      phase_ = Phase::kEnded;
    }
    FinishWith(status);
  }

  absl::Status EndSoFar() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return end_;
  }

  absl::Status TakeChunk() {
    v1::ImportCodebookRequest message;
    RETURN_IF_ERROR(ParseRequest(&incoming_, &message));
    if (collection_.empty()) {
      RETURN_IF_ERROR(CheckCollectionName(message.collection_name()));
      collection_ = message.collection_name();
    } else if (!message.collection_name().empty() && message.collection_name() != collection_) {
      return InvalidField("collection_name", "differs from that of the first message");
    }
    const size_t length = message.chunk().size();
    if (book_.size() + length > limits::kCodebookBytesMax) {
      return InvalidField("chunk", absl::StrCat("the codebook is over the limit of ",
                                                limits::kCodebookBytesMax, " bytes"));
    }
    if (!budget_.Take(length)) return ServerBusyError();
    held_ += length;
    book_.Append(std::move(*message.mutable_chunk()));
    return absl::OkStatus();
  }

  // All is read: from here on only the import's own result ends the call.
  void ImportUnlessEnded() {
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      phase_ = Phase::kImporting;
      status = end_;
    }
    FinishWith(status.ok() ? RunGuarded([this] { return Import(); }) : status);
  }

  absl::Status Import() {
    if (book_.empty()) return InvalidField("chunk", "is empty");
    std::string bytes(book_);
    book_.Clear();
    ASSIGN_OR_RETURN(const OperationInfo info,
                     engine_->ImportCodebook(collection_, std::move(bytes)));
    v1::Operation operation;
    FromOperationInfo(info, &operation);
    return SerializeResponse(operation, response_);
  }

  // Ends the call, or has the worker end it that has it, unless the engine has it or it has ended.
  void End(const absl::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      if (phase_ == Phase::kWithWorker && end_.ok()) end_ = status;
      if (phase_ != Phase::kReading) return;
      phase_ = Phase::kEnded;
    }
    FinishWith(status);
  }

  void FinishWith(const absl::Status& status) {
    env_.NoteEnd("Codebooks.Import", hold_, status);
    Finish(ToGrpcStatus(status));  // may delete this
  }

  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  CodebookBudget& budget_;
  grpc::ByteBuffer* const response_;
  Engine* engine_ = nullptr;
  // Of the reading, then of the import.
  grpc::ByteBuffer incoming_;
  std::string collection_;
  absl::Cord book_;  // so that a chunk is copied once, when there are all
  size_t held_ = 0;

  absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kReading;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);  // not OK: how the worker is to end the call
};

}  // namespace

grpc::ServerReadReactor<grpc::ByteBuffer>* StartCodebookImport(
    const ServiceEnv& env, CodebookBudget& budget, const grpc::CallbackServerContext& context,
    grpc::ByteBuffer* response) {
  auto* call = new CodebookImport(env, budget, response);
  call->Start(context);
  return call;
}

}  // namespace tessera
