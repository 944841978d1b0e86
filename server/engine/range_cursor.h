#ifndef TESSERA_SERVER_ENGINE_RANGE_CURSOR_H_
#define TESSERA_SERVER_ENGINE_RANGE_CURSOR_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/engine/types.h"

namespace tessera {

// The last hit of a page of a range search: the next page begins behind it.
struct RangeCursor {
  float distance = 0;  // exact, as Neighbor::distance
  PointId id;
};

// The key that a page token of a range search holds (page_token.h):
//
//   key := "range/" | query u32 | distance f32 | collection u32, point id      ; as in family ids
//
// `query_checksum` tells one query, radius and filter from others; numbers are big-endian.
std::string EncodeRangeCursor(uint32_t collection_id, uint32_t query_checksum,
                              const RangeCursor& cursor);

// INVALID_ARGUMENT for the field page_token if it is not a token of such a search.
absl::StatusOr<RangeCursor> DecodeRangeCursor(std::string_view token, uint32_t collection_id,
                                              uint32_t query_checksum);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RANGE_CURSOR_H_
