#include "server/engine/page_token.h"

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr uint8_t kKeyVersion = 1;
constexpr uint8_t kOrderVersion = 2;
constexpr uint8_t kFacetVersion = 3;
constexpr uint8_t kAscending = 1;
constexpr uint8_t kDescending = 2;
constexpr uint8_t kNumberTag = 0;
constexpr uint8_t kStringTag = 1;
constexpr uint8_t kCountedBoolTag = 0;
constexpr uint8_t kCountedIntegerTag = 1;
constexpr uint8_t kCountedTextTag = 2;

std::string Seal(uint8_t version, std::string_view rest) {
  ByteWriter writer;
  writer.WriteU8(version);
  writer.WriteU32(Crc32c(rest));
  writer.WriteBytes(rest);
  return absl::WebSafeBase64Escape(writer.Take());
}

absl::Status NotOurs() {
  return InvalidField("page_token", "is not a token that this server gave for this list");
}

// What Seal was given.
absl::StatusOr<std::string> Open(std::string_view token, uint8_t version, size_t bytes_max) {
  if (token.size() > bytes_max) {
    return InvalidField("page_token", absl::StrCat("has ", token.size(), " bytes; at most ",
                                                   bytes_max, " are allowed"));
  }
  const absl::string_view text(token.data(), token.size());
  std::string bytes;
  uint8_t found_version = 0;
  uint32_t checksum = 0;
  std::string_view rest;
  // Base64 has several texts for the same bytes (blanks, padding); only the one that was given
  // counts.
  if (!absl::WebSafeBase64Unescape(text, &bytes) || absl::WebSafeBase64Escape(bytes) != text) {
    return NotOurs();
  }
  ByteReader reader(bytes);
  if (!reader.ReadU8(&found_version) || found_version != version || !reader.ReadU32(&checksum) ||
      !reader.ReadBytes(reader.remaining(), &rest) || checksum != Crc32c(rest)) {
    return NotOurs();
  }
  return std::string(rest);
}

void WriteText(std::string_view text, ByteWriter& writer) {
  writer.WriteU32(static_cast<uint32_t>(text.size()));
  writer.WriteBytes(text);
}

bool ReadText(ByteReader& reader, size_t size_max, std::string* text) {
  uint32_t size = 0;
  std::string_view bytes;
  if (!reader.ReadU32(&size) || size > size_max || !reader.ReadBytes(size, &bytes)) return false;
  *text = std::string(bytes);
  return true;
}

std::string ScopeBytes(const OrderTokenScope& scope) {
  ByteWriter writer;
  writer.WriteU32(scope.collection_id);
  writer.WriteU8(scope.descending ? kDescending : kAscending);
  writer.WriteU8(static_cast<uint8_t>(scope.type));
  writer.WriteU32(scope.filter);
  WriteText(scope.key, writer);
  return writer.Take();
}

bool ReadValue(ByteReader& reader, PayloadIndexType type, FieldIndex::Value* value) {
  if (type == PayloadIndexType::kKeyword) {
    return ReadText(reader, limits::kPayloadBytesMax, &value->emplace<std::string>());
  }
  if (type == PayloadIndexType::kFloat) {
    double& number = value->emplace<double>();
    return reader.ReadF64(&number) && number == number;  // not a NaN: it has no place
  }
  return reader.ReadI64(&value->emplace<int64_t>());
}

bool ReadId(ByteReader& reader, PointId* id) {
  uint8_t tag = 0;
  if (!reader.ReadU8(&tag)) return false;
  if (tag == kNumberTag) return reader.ReadU64(&id->emplace<uint64_t>());
  auto& text = id->emplace<std::string>();
  return tag == kStringTag && ReadText(reader, limits::kStringIdBytesMax, &text) && !text.empty();
}

std::string ScopeBytes(const FacetTokenScope& scope) {
  ByteWriter writer;
  writer.WriteU32(scope.collection_id);
  writer.WriteU32(scope.filter);
  WriteText(scope.key, writer);
  return writer.Take();
}

bool ReadCounted(ByteReader& reader, FacetValue* value) {
  uint8_t tag = 0;
  if (!reader.ReadU8(&tag)) return false;
  if (tag == kCountedTextTag) {
    return ReadText(reader, limits::kPayloadBytesMax, &value->emplace<std::string>());
  }
  if (tag == kCountedIntegerTag) return reader.ReadI64(&value->emplace<int64_t>());
  uint8_t flag = 0;
  if (tag != kCountedBoolTag || !reader.ReadU8(&flag) || flag > 1) return false;
  *value = flag == 1;
  return true;
}

}  // namespace

std::string EncodePageToken(std::string_view last_key) { return Seal(kKeyVersion, last_key); }

absl::StatusOr<std::string> DecodePageToken(std::string_view token, std::string_view prefix) {
  ASSIGN_OR_RETURN(std::string key, Open(token, kKeyVersion, limits::kPageTokenBytesMax));
  if (!std::string_view(key).starts_with(prefix)) return NotOurs();
  return key;
}

std::string EncodeOrderToken(const OrderTokenScope& scope, const OrderPosition& last) {
  ByteWriter writer;
  writer.WriteBytes(ScopeBytes(scope));
  if (const auto* text = std::get_if<std::string>(&last.value)) WriteText(*text, writer);
  if (const auto* number = std::get_if<double>(&last.value)) writer.WriteF64(*number);
  if (const auto* integer = std::get_if<int64_t>(&last.value)) writer.WriteI64(*integer);
  if (const auto* number = std::get_if<uint64_t>(&last.id)) {
    writer.WriteU8(kNumberTag);
    writer.WriteU64(*number);
  } else {
    writer.WriteU8(kStringTag);
    WriteText(std::get<std::string>(last.id), writer);
  }
  return Seal(kOrderVersion, writer.Take());
}

absl::StatusOr<OrderPosition> DecodeOrderToken(std::string_view token,
                                               const OrderTokenScope& scope) {
  ASSIGN_OR_RETURN(const std::string rest,
                   Open(token, kOrderVersion, limits::kOrderedPageTokenBytesMax));
  const std::string expected = ScopeBytes(scope);
  if (!std::string_view(rest).starts_with(expected)) return NotOurs();
  ByteReader reader(std::string_view(rest).substr(expected.size()));
  OrderPosition position;
  if (!ReadValue(reader, scope.type, &position.value) || !ReadId(reader, &position.id) ||
      !reader.AtEnd()) {
    return NotOurs();
  }
  return position;
}

std::string EncodeFacetToken(const FacetTokenScope& scope, const FacetCount& last) {
  ByteWriter writer;
  writer.WriteBytes(ScopeBytes(scope));
  writer.WriteU64(last.points);
  if (const auto* flag = std::get_if<bool>(&last.value)) {
    writer.WriteU8(kCountedBoolTag);
    writer.WriteU8(*flag ? 1 : 0);
  } else if (const auto* integer = std::get_if<int64_t>(&last.value)) {
    writer.WriteU8(kCountedIntegerTag);
    writer.WriteI64(*integer);
  } else {
    writer.WriteU8(kCountedTextTag);
    WriteText(std::get<std::string>(last.value), writer);
  }
  return Seal(kFacetVersion, writer.Take());
}

absl::StatusOr<FacetCount> DecodeFacetToken(std::string_view token, const FacetTokenScope& scope) {
  // As of an order: it may hold a payload's string.
  ASSIGN_OR_RETURN(const std::string rest,
                   Open(token, kFacetVersion, limits::kOrderedPageTokenBytesMax));
  const std::string expected = ScopeBytes(scope);
  if (!std::string_view(rest).starts_with(expected)) return NotOurs();
  ByteReader reader(std::string_view(rest).substr(expected.size()));
  FacetCount last;
  if (!reader.ReadU64(&last.points) || !ReadCounted(reader, &last.value) || !reader.AtEnd()) {
    return NotOurs();
  }
  return last;
}

}  // namespace tessera
