#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "index/base/byte_io.h"
#include "index/base/crc32c.h"
#include "server/engine/page_token.h"
#include "server/engine/range_cursor.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

// A token of a list in the order of keys.
void CheckKeyToken(std::string_view bytes) {
  // As a token, from anyone.
  const auto key = tessera::DecodePageToken(bytes, "");
  if (key.ok()) {
    FUZZ_CHECK(tessera::EncodePageToken(*key) == bytes);
  } else {
    FUZZ_CHECK(key.status().code() == absl::StatusCode::kInvalidArgument);
  }
  // As a token of a range search, and with its bytes as what such a token holds.
  for (const std::string& token :
       {std::string(bytes), tessera::EncodePageToken(std::string("range/\0\0\0\7", 10) +
                                                     std::string(bytes.substr(0, 300)))}) {
    const auto cursor = tessera::DecodeRangeCursor(token, 3, 7);
    if (cursor.ok()) {
      FUZZ_CHECK(tessera::EncodeRangeCursor(3, 7, *cursor) == token);
    } else {
      FUZZ_CHECK(cursor.status().code() == absl::StatusCode::kInvalidArgument);
    }
  }
  // As a key, of a token of our own: read back under its own prefixes, refused under others. Keys
  // of the store are far below the length at which tokens are refused.
  if (!bytes.empty() && bytes.size() <= 256) {
    const std::string token = tessera::EncodePageToken(bytes);
    const auto read = tessera::DecodePageToken(token, bytes.substr(0, bytes.size() / 2));
    FUZZ_CHECK(read.ok() && *read == bytes);
    FUZZ_CHECK(!tessera::DecodePageToken(token, std::string(bytes) + "x").ok());
  }
}

// What EncodeOrderToken (version 2) and EncodeFacetToken (3) put around their fields.
std::string Sealed(uint8_t version, std::string_view fields) {
  tessera::ByteWriter writer;
  writer.WriteU8(version);
  writer.WriteU32(tessera::Crc32c(fields));
  writer.WriteBytes(fields);
  return absl::WebSafeBase64Escape(writer.Take());
}

// A token of points in the order of a field.
void CheckOrderToken(std::string_view bytes) {
  using tessera::PayloadIndexType;
  for (const auto type : {PayloadIndexType::kKeyword, PayloadIndexType::kInteger,
                          PayloadIndexType::kFloat, PayloadIndexType::kDatetime}) {
    for (const bool descending : {false, true}) {
      const tessera::OrderTokenScope scope{7, "a.b", type, descending};
      const auto position = tessera::DecodeOrderToken(bytes, scope);
      if (!position.ok()) {
        FUZZ_CHECK(position.status().code() == absl::StatusCode::kInvalidArgument);
        continue;
      }
      FUZZ_CHECK(tessera::EncodeOrderToken(scope, *position) == bytes);
      tessera::OrderTokenScope other = scope;
      other.descending = !descending;
      FUZZ_CHECK(!tessera::DecodeOrderToken(bytes, other).ok());
    }
  }
  // The bytes as a string value and id of our own token.
  if (bytes.empty() || bytes.size() > 256) return;
  const tessera::OrderTokenScope scope{7, "a.b", PayloadIndexType::kKeyword, false};
  const tessera::OrderPosition own{std::string(bytes), std::string(bytes)};
  const auto read = tessera::DecodeOrderToken(tessera::EncodeOrderToken(scope, own), scope);
  FUZZ_CHECK(read.ok() && *read == own);
}

// A token of a field's values in the order of their counts.
void CheckFacetToken(std::string_view bytes) {
  const tessera::FacetTokenScope scope{7, "a.b", 9};
  const auto last = tessera::DecodeFacetToken(bytes, scope);
  if (last.ok()) {
    FUZZ_CHECK(tessera::EncodeFacetToken(scope, *last) == bytes);
    FUZZ_CHECK(!tessera::DecodeFacetToken(bytes, {7, "a", 9}).ok());
  } else {
    FUZZ_CHECK(last.status().code() == absl::StatusCode::kInvalidArgument);
  }
  // The bytes as the value of our own token.
  if (bytes.size() > 256) return;
  const tessera::FacetCount own{std::string(bytes), bytes.size()};
  const auto read = tessera::DecodeFacetToken(tessera::EncodeFacetToken(scope, own), scope);
  FUZZ_CHECK(read.ok() && *read == own);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  CheckKeyToken(bytes);
  CheckOrderToken(bytes);
  CheckOrderToken(Sealed(2, bytes));
  CheckFacetToken(bytes);
  CheckFacetToken(Sealed(3, bytes));
  return 0;
}
