#include "server/engine/range_cursor.h"

#include <bit>
#include <cmath>

#include "index/base/status_macros.h"
#include "server/engine/big_endian.h"
#include "server/engine/errors.h"
#include "server/engine/page_token.h"
#include "server/engine/record_keys.h"

namespace tessera {
namespace {

constexpr std::string_view kPrefix = "range/";
constexpr size_t kDistanceBytes = 4;

std::string KeyPrefix(uint32_t query_checksum) {
  std::string prefix(kPrefix);
  AppendBigEndian(query_checksum, &prefix);
  return prefix;
}

}  // namespace

std::string EncodeRangeCursor(uint32_t collection_id, uint32_t query_checksum,
                              const RangeCursor& cursor) {
  std::string key = KeyPrefix(query_checksum);
  AppendBigEndian(std::bit_cast<uint32_t>(cursor.distance), &key);
  AppendIdKey(collection_id, cursor.id, &key);
  return EncodePageToken(key);
}

absl::StatusOr<RangeCursor> DecodeRangeCursor(std::string_view token, uint32_t collection_id,
                                              uint32_t query_checksum) {
  const std::string prefix = KeyPrefix(query_checksum);
  ASSIGN_OR_RETURN(const std::string key, DecodePageToken(token, prefix));
  const std::string_view rest = std::string_view(key).substr(prefix.size());
  IdKeyParts parts;
  if (rest.size() < kDistanceBytes || !ParseIdKey(rest.substr(kDistanceBytes), &parts).ok() ||
      parts.collection_id != collection_id) {
    return InvalidField("page_token", "is not a token of this search");
  }
  RangeCursor cursor{std::bit_cast<float>(ReadBigEndian<uint32_t>(rest, 0)), ToPointId(parts.id)};
  if (!std::isfinite(cursor.distance)) {
    return InvalidField("page_token", "is not a token of this search");
  }
  return cursor;
}

}  // namespace tessera
