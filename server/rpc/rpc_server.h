#ifndef TESSERA_SERVER_RPC_RPC_SERVER_H_
#define TESSERA_SERVER_RPC_RPC_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/auth/secrets.h"
#include "server/engine/engine.h"
#include "server/metrics/call_stats.h"

namespace tessera {

struct RpcServerOptions {
  std::string listen;  // "host:port"; port 0 takes a free one
  size_t search_threads = 2;
  size_t write_threads = 4;
  size_t admin_threads = 2;
  // Who may call, and the server's certificate; outlives the server. Null, or without a
  // certificate: plain text; null, or without keys: whoever can connect may do everything.
  const Secrets* secrets = nullptr;
  // Counts the calls; outlives the server. May be null.
  CallStats* stats = nullptr;
  // Told of answers that are the server's fault; called from any thread; may be empty.
  std::function<void(std::string_view method, const absl::Status& status)> on_fault;
};

// The gRPC server: tessera.v1, health and reflection on one port, and the pools they work on.
//
// It listens from Start on. Until Serve is given an engine, health says NOT_SERVING and every call
// of tessera.v1 is UNAVAILABLE with reason SERVER_STARTING. Thread-safe, but for the destructor.
class RpcServer {
 public:
  // UNAVAILABLE if the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcServerOptions& options);
  // Shutdown without a drain, if that has not been done.
  virtual ~RpcServer() = default;

  // The port that it listens on.
  virtual int port() const = 0;

  // The threads of searches, for EngineOptions. After Shutdown loops run in the caller's thread.
  virtual Executor& search_executor() = 0;

  // From now on calls go to `engine`, which outlives Shutdown, and health says SERVING.
  virtual void Serve(Engine& engine) = 0;

  // Health says NOT_SERVING, new calls are UNAVAILABLE with reason SERVER_STOPPING, streams end
  // after the chunk they are in, and the calls that run are waited for, `drain` at most; then they
  // are cancelled. Idempotent.
  // On return no call is left and the engine is no longer used.
  virtual void Shutdown(absl::Duration drain) = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_RPC_SERVER_H_
