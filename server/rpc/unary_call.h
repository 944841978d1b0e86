#ifndef TESSERA_SERVER_RPC_UNARY_CALL_H_
#define TESSERA_SERVER_RPC_UNARY_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "google/protobuf/arena.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/service_env.h"

namespace tessera {

// One unary call as gRPC hands it over. The pointers live until the call is done.
struct RawCall {
  const char* method;  // for the log: "Points.Search"
  grpc::CallbackServerContext* context;
  const grpc::ByteBuffer* request;
  grpc::ByteBuffer* response;
};

// Runs `body`, and turns what it throws into INTERNAL: no exception leaves a worker's task.
absl::Status RunGuarded(const std::function<absl::Status()>& body);

// A unary call that hops to a worker pool, parses, runs and serializes there, and answers. Refused
// at once with SERVER_BUSY if the pool is full; one that was cancelled or whose deadline has passed
// while it waited is dropped before anything is computed. Deletes itself when gRPC is done with it.
class UnaryCall : public grpc::ServerUnaryReactor {
 public:
  // `cancelled` becomes true when nobody waits for the answer any more.
  using Body =
      std::function<absl::Status(Engine& engine, grpc::ByteBuffer* request,
                                 const std::atomic<bool>& cancelled, grpc::ByteBuffer* response)>;

  static grpc::ServerUnaryReactor* Start(const ServiceEnv& env, WorkerPool& pool,
                                         const RawCall& call, Body body);

 private:
  UnaryCall(const ServiceEnv& env, const RawCall& call, Body body);

  void Run(Engine& engine);
  absl::Status Compute(Engine& engine);
  void Answer(const absl::Status& status);

  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }
  // Without this gRPC has another thread of its own call OnDone, in case that it takes long: a
  // wake-up for each call.
  bool InternalInlineable() override { return true; }

  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  const RawCall call_;
  const Body body_;
  std::atomic<bool> cancelled_{false};
};

// UnaryCall for handler(engine, request, cancelled, response). The handler may take the request
// apart; the response lives on an arena.
template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* RunMessages(const ServiceEnv& env, WorkerPool& pool, const RawCall& call,
                                      Handler handler) {
  return UnaryCall::Start(
      env, pool, call,
      [handler](Engine& engine, grpc::ByteBuffer* request_bytes, const std::atomic<bool>& cancelled,
                grpc::ByteBuffer* response_bytes) -> absl::Status {
        Request request;
        if (absl::Status status = ParseRequest(request_bytes, &request); !status.ok()) {
          return status;
        }
        google::protobuf::Arena arena(ResponseArenaOptions());
        auto* response = google::protobuf::Arena::CreateMessage<Response>(&arena);
        absl::Status status = handler(engine, request, cancelled, response);
        if (!status.ok()) return status;
        return SerializeResponse(*response, response_bytes);
      });
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* RunUnary(const ServiceEnv& env, WorkerPool& pool, const RawCall& call,
                                   absl::Status (*handler)(Engine&, Request&, Response*)) {
  return RunMessages<Request, Response>(
      env, pool, call,
      [handler](Engine& engine, Request& request, const std::atomic<bool>&, Response* response) {
        return handler(engine, request, response);
      });
}

// The same for a handler that asks between its parts whether anybody still waits.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* RunUnary(const ServiceEnv& env, WorkerPool& pool, const RawCall& call,
                                   absl::Status (*handler)(Engine&, Request&,
                                                           const std::atomic<bool>& cancelled,
                                                           Response*)) {
  return RunMessages<Request, Response>(env, pool, call, handler);
}

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_UNARY_CALL_H_
