#ifndef TESSERA_SERVER_ENGINE_PAGE_TOKEN_H_
#define TESSERA_SERVER_ENGINE_PAGE_TOKEN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tessera {

// A page token says after which key of the store the next page begins:
//
//   token := base64url( version u8 = 1 | crc32c u32 of key, little-endian | key )
//
// Opaque to clients. It holds no secret and grants nothing: the key must begin with `prefix`,
// which the server takes from the collection that the request names.
std::string EncodePageToken(std::string_view last_key);

// The key. INVALID_ARGUMENT for the field page_token if it was not made by EncodePageToken for a
// key that begins with `prefix`.
absl::StatusOr<std::string> DecodePageToken(std::string_view token, std::string_view prefix);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_PAGE_TOKEN_H_
