#include "server/rpc/engine_slot.h"

#include "server/rpc/rpc_status.h"

namespace tessera {

absl::StatusOr<Engine*> EngineSlot::Get() const {
  if (stopping()) return ServerStoppingError();
  Engine* engine = engine_.load(std::memory_order_acquire);
  if (engine == nullptr) return ServerStartingError();
  return engine;
}

}  // namespace tessera
