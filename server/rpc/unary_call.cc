#include "server/rpc/unary_call.h"

#include <chrono>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/errors.h"
#include "server/rpc/rpc_status.h"

namespace tessera {

absl::Status RunGuarded(const std::function<absl::Status()>& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("exception: ", error.what()));
  } catch (...) {
    return absl::InternalError("unknown exception");
  }
}

UnaryCall::UnaryCall(const ServiceEnv& env, const RawCall& call, Body body)
    : env_(env), hold_(env.calls), call_(call), body_(std::move(body)) {}

grpc::ServerUnaryReactor* UnaryCall::Start(const ServiceEnv& env, WorkerPool& pool,
                                           const RawCall& raw, Body body) {
  auto* call = new UnaryCall(env, raw, std::move(body));
  const absl::StatusOr<Engine*> engine = env.Admit(raw.method, *raw.context);
  if (!engine.ok()) {
    call->Answer(engine.status());
    return call;
  }
  const size_t bytes = raw.request->Valid() ? raw.request->Length() : 0;
  if (!pool.Submit(bytes, [call, engine = *engine] { call->Run(*engine); })) {
    call->Answer(ServerBusyError());
  }
  return call;
}

void UnaryCall::Run(Engine& engine) {
  if (cancelled_.load(std::memory_order_relaxed)) {
    Answer(CallCancelled());
  } else if (call_.context->deadline() <= std::chrono::system_clock::now()) {
    Answer(absl::DeadlineExceededError("the deadline passed while the request was waiting"));
  } else {
    Answer(RunGuarded([&] { return Compute(engine); }));
  }
}

absl::Status UnaryCall::Compute(Engine& engine) {
  // gRPC keeps the buffer for this call alone and does not look at it again: parsing may free it.
  return body_(engine, const_cast<grpc::ByteBuffer*>(call_.request), cancelled_, call_.response);
}

void UnaryCall::Answer(const absl::Status& status) {
  env_.NoteEnd(call_.method, hold_, status);
  Finish(ToGrpcStatus(status));  // may delete this
}

}  // namespace tessera
