#ifndef TESSERA_SERVER_RPC_ENGINE_SLOT_H_
#define TESSERA_SERVER_RPC_ENGINE_SLOT_H_

#include <atomic>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"

namespace tessera {

// Where the services find the engine: empty while it recovers, so that the server can listen,
// and answer that it is not ready, from its first moment. Thread-safe. Does not own the engine,
// which must outlive every call.
class EngineSlot {
 public:
  void Set(Engine* engine) { engine_.store(engine, std::memory_order_release); }

  // From now on new calls are refused, and streams end after the step that they are in.
  void Stop() { stopping_.store(true, std::memory_order_release); }
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }

  // UNAVAILABLE, with reason SERVER_STARTING while there is none, SERVER_STOPPING after Stop.
  absl::StatusOr<Engine*> Get() const;

 private:
  std::atomic<Engine*> engine_{nullptr};
  std::atomic<bool> stopping_{false};
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_ENGINE_SLOT_H_
