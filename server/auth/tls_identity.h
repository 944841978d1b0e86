#ifndef TESSERA_SERVER_AUTH_TLS_IDENTITY_H_
#define TESSERA_SERVER_AUTH_TLS_IDENTITY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tessera {

// Who a server says it is.
struct TlsIdentity {
  std::string certificate_chain;  // PEM, the server's own first
  std::string private_key;        // PEM
  absl::Time expiry;              // of the server's own certificate
};

// Takes it if both are PEM of the kind and the key is that of the chain's first certificate, and
// the file of a key asks for no password. INVALID_ARGUMENT if not; nothing of the key is in the
// message. An expired certificate is taken: clients say so themselves.
absl::StatusOr<TlsIdentity> MakeTlsIdentity(std::string certificate_chain, std::string private_key);

}  // namespace tessera

#endif  // TESSERA_SERVER_AUTH_TLS_IDENTITY_H_
