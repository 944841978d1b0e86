#ifndef TESSERA_SERVER_RPC_CALL_ACCESS_H_
#define TESSERA_SERVER_RPC_CALL_ACCESS_H_

#include <grpcpp/server_context.h>

#include <string_view>

#include "absl/status/status.h"
#include "server/auth/secrets.h"

namespace tessera {

// What a caller of the method needs, by its name without the package: "Points.Search". kWrite for
// all that are not known to change nothing.
Access AccessNeeded(std::string_view method);

// Whether the call may be made, by the key that its metadata holds: "authorization: Bearer KEY", or
// else "api-key: KEY". UNAUTHENTICATED with reason API_KEY_MISSING or API_KEY_UNKNOWN,
// PERMISSION_DENIED with READ_ONLY_API_KEY.
absl::Status CheckAccess(const Secrets& secrets, std::string_view method,
                         const grpc::CallbackServerContext& context);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CALL_ACCESS_H_
