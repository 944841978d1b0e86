#include <cstdint>
#include <string>
#include <string_view>

#include "server/engine/page_token.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // As a token, from anyone.
  const auto key = tessera::DecodePageToken(bytes, "");
  if (key.ok()) {
    FUZZ_CHECK(tessera::EncodePageToken(*key) == bytes);
  } else {
    FUZZ_CHECK(key.status().code() == absl::StatusCode::kInvalidArgument);
  }
  // As a key, of a token of our own: read back under its own prefixes, refused under others. Keys
  // of the store are far below the length at which tokens are refused.
  if (size > 0 && size <= 256) {
    const std::string token = tessera::EncodePageToken(bytes);
    const auto read = tessera::DecodePageToken(token, bytes.substr(0, size / 2));
    FUZZ_CHECK(read.ok() && *read == bytes);
    FUZZ_CHECK(!tessera::DecodePageToken(token, std::string(bytes) + "x").ok());
  }
  return 0;
}
