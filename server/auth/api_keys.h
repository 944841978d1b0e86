#ifndef TESSERA_SERVER_AUTH_API_KEYS_H_
#define TESSERA_SERVER_AUTH_API_KEYS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace tessera {

// What a caller may do; each holds those before it.
enum class Access { kNone, kRead, kWrite };

// The API keys of a server. It knows them by their SHA-256 alone: nothing that prints or leaks it
// shows a key, and how long a wrong one takes does not tell how much of it is right.
//
// Immutable, so thread-safe.
class ApiKeys {
 public:
  // The text of a file of keys, whose grammar is in README.md. INVALID_ARGUMENT names the line, and
  // never repeats what stands there; a text without a key is one, too, since nobody could call.
  static absl::StatusOr<ApiKeys> Parse(std::string_view text);

  // kNone if it is not one of them.
  Access Find(std::string_view key) const;

  size_t size() const { return access_.size(); }

 private:
  using Digest = std::array<uint8_t, 32>;
  static Digest DigestOf(std::string_view key);

  absl::flat_hash_map<Digest, Access> access_;
};

// Whether it may be a key: printable ASCII without blanks, of limits::kApiKeyBytesMin to
// limits::kApiKeyBytesMax bytes.
bool IsApiKey(std::string_view text);

}  // namespace tessera

#endif  // TESSERA_SERVER_AUTH_API_KEYS_H_
