#ifndef TESSERA_SERVER_CONFIG_ADDRESS_H_
#define TESSERA_SERVER_CONFIG_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace tessera {

// "host:port" taken apart; an IPv6 host stands in brackets: "[::1]:6433".
struct Address {
  std::string host;  // without brackets; may be empty: any
  uint16_t port = 0;

  std::string ToString() const;
};

// INVALID_ARGUMENT if it is not of that form or the port is not 0 to 65535.
absl::StatusOr<Address> ParseAddress(const std::string& text);

// Whether only this machine can connect to it: localhost, 127.0.0.0/8, ::1.
bool IsLoopback(const Address& address);

// Where a client on this machine reaches a server that listens on `address`: loopback instead of
// any, the same else.
Address ReachableFromHere(const Address& address);

}  // namespace tessera

#endif  // TESSERA_SERVER_CONFIG_ADDRESS_H_
