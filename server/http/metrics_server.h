#ifndef TESSERA_SERVER_HTTP_METRICS_SERVER_H_
#define TESSERA_SERVER_HTTP_METRICS_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"
#include "server/metrics/call_stats.h"

namespace tessera {

// Answers GET /metrics over HTTP in the text format of Prometheus, and nothing else. README.md
// lists what it tells. Thread-safe, but for the destructor.
class MetricsServer {
 public:
  // Listens on `address`, "host:port" as ServerConfig has it; port 0 takes a free one. `version`:
  // of the program. `calls` outlives the server. UNAVAILABLE if the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& address,
                                                              const std::string& version,
                                                              const CallStats& calls);
  virtual ~MetricsServer() = default;

  virtual int port() const = 0;

  // From now on it tells of the collections, too; of none after Stop. When Stop returns, the engine
  // is no longer used.
  virtual void Serve(Engine& engine) = 0;
  virtual void Stop() = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_HTTP_METRICS_SERVER_H_
