#ifndef TESSERA_SERVER_RPC_TLS_CREDENTIALS_H_
#define TESSERA_SERVER_RPC_TLS_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "server/auth/secrets.h"

namespace tessera {

// TLS (1.2 at least) with the identity that `secrets` has, which must be one, at each handshake:
// connections go on with that of their time. The server asks them as long as it lives: they, and
// `secrets`, outlive it.
std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(const Secrets& secrets);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_TLS_CREDENTIALS_H_
