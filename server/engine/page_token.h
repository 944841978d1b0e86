#ifndef TESSERA_SERVER_ENGINE_PAGE_TOKEN_H_
#define TESSERA_SERVER_ENGINE_PAGE_TOKEN_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/engine/types.h"
#include "server/filter/field_index.h"

namespace tessera {

// A page token says after what the next page begins. Opaque to clients; it holds no secret and
// grants nothing, since what it is for must be what the request names.
//
//   token   := base64url( version u8 | crc32c u32 of rest | rest )
//   version 1, of a list in the order of keys:     rest := the last page's last key in the store
//   version 2, of points in the order of a field:  rest := scope | value | id
//   scope   := collection u32 | order u8 (1 ascending, 2 descending) | index type u8 | filter u32 |
//              key
//   value   := keyword: text | float: f64 | else: i64
//   id      := 0x00, number u64 | 0x01, text
//   version 3, of a field's values by their counts: rest := facet | points u64 | counted
//   facet   := collection u32 | filter u32 | key
//   counted := 0x00, bool u8 | 0x01, i64 | 0x02, text
//   key, text := size u32 | bytes
//
// Numbers are little-endian. A decoder accepts exactly what the encoder gave; anything else is
// INVALID_ARGUMENT for the field page_token.
std::string EncodePageToken(std::string_view last_key);

// The key, which must begin with `prefix`: the server takes that from the collection that the
// request names.
absl::StatusOr<std::string> DecodePageToken(std::string_view token, std::string_view prefix);

// What a token of an ordered list is for.
struct OrderTokenScope {
  uint32_t collection_id = 0;
  std::string key;  // of the field
  PayloadIndexType type = PayloadIndexType::kKeyword;
  bool descending = false;
  uint32_t filter = 0;  // its fingerprint
};

// The place of a point in the order.
struct OrderPosition {
  FieldIndex::Value value;  // of the type that the index has
  PointId id;

  friend bool operator==(const OrderPosition&, const OrderPosition&) = default;
};

std::string EncodeOrderToken(const OrderTokenScope& scope, const OrderPosition& last);

// The place, if the token is for this scope.
absl::StatusOr<OrderPosition> DecodeOrderToken(std::string_view token,
                                               const OrderTokenScope& scope);

// What a token of a field's values is for.
struct FacetTokenScope {
  uint32_t collection_id = 0;
  std::string key;      // of the field
  uint32_t filter = 0;  // its fingerprint
};

std::string EncodeFacetToken(const FacetTokenScope& scope, const FacetCount& last);

// The last page's last value, and how many points had it, if the token is for this scope.
absl::StatusOr<FacetCount> DecodeFacetToken(std::string_view token, const FacetTokenScope& scope);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_PAGE_TOKEN_H_
