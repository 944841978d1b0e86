#include "server/engine/page_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr uint8_t kVersion = 1;

}  // namespace

std::string EncodePageToken(std::string_view last_key) {
  ByteWriter writer;
  writer.WriteU8(kVersion);
  writer.WriteU32(Crc32c(last_key));
  writer.WriteBytes(last_key);
  return absl::WebSafeBase64Escape(writer.Take());
}

absl::StatusOr<std::string> DecodePageToken(std::string_view token, std::string_view prefix) {
  if (token.size() > limits::kPageTokenBytesMax) {
    return InvalidField("page_token", absl::StrCat("has ", token.size(), " bytes; at most ",
                                                   limits::kPageTokenBytesMax, " are allowed"));
  }
  std::string bytes;
  uint8_t version = 0;
  uint32_t checksum = 0;
  std::string_view key;
  const bool decoded =
      absl::WebSafeBase64Unescape(absl::string_view(token.data(), token.size()), &bytes);
  ByteReader reader(bytes);
  // Base64 has several texts for the same bytes (blanks, padding); only the one that was given
  // counts.
  if (!decoded ||
      absl::WebSafeBase64Escape(bytes) != absl::string_view(token.data(), token.size()) ||
      !reader.ReadU8(&version) || version != kVersion || !reader.ReadU32(&checksum) ||
      !reader.ReadBytes(reader.remaining(), &key) || checksum != Crc32c(key) ||
      key.substr(0, prefix.size()) != prefix) {
    return InvalidField("page_token", "is not a token that this server gave for this list");
  }
  return std::string(key);
}

}  // namespace tessera
