#ifndef TESSERA_SERVER_ENGINE_CONTENT_HASH_H_
#define TESSERA_SERVER_ENGINE_CONTENT_HASH_H_

#include <string>
#include <string_view>

namespace tessera {

// SHA-256 of the bytes (by OpenSSL, which gRPC brings along), as 64 hexadecimal digits.
std::string ContentHash(std::string_view bytes);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_CONTENT_HASH_H_
