#include "server/rpc/codebook_export.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/codebooks.pb.h"

namespace tessera {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

// One thing happens at a time: the worker's read, then each chunk's write. So nothing is locked.
class CodebookExport final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  CodebookExport(const ServiceEnv& env, CodebookBudget& budget, const grpc::ByteBuffer* request)
      : env_(env), hold_(env.calls), budget_(budget), request_(request) {}
  ~CodebookExport() override { budget_.GiveBack(held_); }

  void Start(const grpc::CallbackServerContext& context) {
    const absl::StatusOr<Engine*> engine = env_.Admit("Codebooks.Export", context);
    if (!engine.ok()) {
      End(engine.status());
    } else if (!env_.write_pool.Submit(0, [this, engine = *engine] { Read(*engine); })) {
      End(ServerBusyError());
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      End(absl::CancelledError("the client has gone"));
    } else if (absl::Status status = MayGoOn(); !status.ok()) {
      End(status);
    } else if (sent_ == bytes_.size()) {
      End(absl::OkStatus());
    } else {
      SendChunk();
    }
  }

  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

 private:
  absl::Status MayGoOn() const {
    if (cancelled_.load(std::memory_order_relaxed)) {
      return CallCancelled();
    }
    return env_.engine.stopping() ? ServerStoppingError() : absl::OkStatus();
  }

  void Read(Engine& engine) {
    const absl::Status status = RunGuarded([&]() -> absl::Status {
      RETURN_IF_ERROR(MayGoOn());
      v1::ExportCodebookRequest request;
      // The buffer is this call's alone: parsing may free it.
      RETURN_IF_ERROR(ParseRequest(const_cast<grpc::ByteBuffer*>(request_), &request));
      RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
      ASSIGN_OR_RETURN(bytes_, engine.ExportCodebook(request.collection_name(), request.version()));
      // How long it takes to send them is up to the client.
      if (!budget_.Take(bytes_.size())) return ServerBusyError();
      held_ = bytes_.size();
      return absl::OkStatus();
    });
    if (status.ok()) {
      SendChunk();
    } else {
      End(status);
    }
  }

  void SendChunk() {
    const absl::Status status = RunGuarded([this] {
      v1::ExportCodebookResponse response;
      const size_t length = std::min(kChunkBytes, bytes_.size() - sent_);
      response.set_chunk(bytes_.data() + sent_, length);
      sent_ += length;
      chunk_.Clear();
      return SerializeResponse(response, &chunk_);
    });
    if (status.ok()) {
      StartWrite(&chunk_);
    } else {
      End(status);
    }
  }

  void End(const absl::Status& status) {
    env_.NoteEnd("Codebooks.Export", hold_, status);
    Finish(ToGrpcStatus(status));  // may delete this
  }

  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  CodebookBudget& budget_;
  const grpc::ByteBuffer* const request_;
  std::string bytes_;
  size_t held_ = 0;  // of the budget
  size_t sent_ = 0;
  grpc::ByteBuffer chunk_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* StartCodebookExport(
    const ServiceEnv& env, CodebookBudget& budget, const grpc::CallbackServerContext& context,
    const grpc::ByteBuffer* request) {
  auto* call = new CodebookExport(env, budget, request);
  call->Start(context);
  return call;
}

}  // namespace tessera
