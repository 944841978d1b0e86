#ifndef TESSERA_SERVER_RPC_HEALTH_CLIENT_H_
#define TESSERA_SERVER_RPC_HEALTH_CLIENT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tessera {

// Asks the server at "host:port" by grpc.health.v1.Health/Check how it is as a whole. OK if it
// answers SERVING in time; UNAVAILABLE if it says something else; else what the call failed with.
// `tls`: it encrypts; no secret is sent, so that whose certificate it shows is not looked at.
absl::Status CheckHealth(const std::string& address, absl::Duration timeout, bool tls = false);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_HEALTH_CLIENT_H_
