#ifndef TESSERA_SERVER_RPC_SERVICE_ENV_H_
#define TESSERA_SERVER_RPC_SERVICE_ENV_H_

#include <grpcpp/server_context.h>

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/secrets.h"
#include "server/metrics/call_stats.h"
#include "server/rpc/call_counter.h"
#include "server/rpc/engine_slot.h"
#include "server/rpc/stream_registry.h"
#include "server/rpc/watch_hub.h"
#include "server/rpc/worker_pool.h"

namespace tessera {

// What the services work with. Everything outlives them. Three pools, so that one kind of work
// cannot keep another waiting: searches and reads, writes and codec work, and the short calls
// about collections, codebooks and operations.
struct ServiceEnv {
  CallStats* stats;        // null: nobody counts
  const Secrets* secrets;  // null: whoever can connect may do everything
  EngineSlot& engine;
  CallCounter& calls;  // each call holds it
  WorkerPool& search_pool;
  WorkerPool& write_pool;
  WorkerPool& admin_pool;
  StreamRegistry& streams;
  WatchHub& watches;
  // Told of answers that are the server's fault; called from any thread.
  std::function<void(std::string_view method, const absl::Status& status)> on_fault;

  // What CheckAccess says of a call of `method`, "Points.Search".
  absl::Status MayCall(std::string_view method, const grpc::CallbackServerContext& context) const;
  // The engine, for a call that may be made: each call of tessera.v1 starts with it. What MayCall
  // or EngineSlot::Get says if it may not.
  absl::StatusOr<Engine*> Admit(std::string_view method,
                                const grpc::CallbackServerContext& context) const;

  // A call ends: it is counted, and told on_fault if the status is the server's fault.
  void NoteEnd(std::string_view method, const CallCounter::Hold& hold,
               const absl::Status& status) const;
  // Tells on_fault if the status is one.
  void Note(std::string_view method, const absl::Status& status) const;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SERVICE_ENV_H_
