#ifndef TESSERA_SERVER_FILTER_DATETIME_H_
#define TESSERA_SERVER_FILTER_DATETIME_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera {

// Microseconds since the epoch of an RFC 3339 date and time ("2024-02-29T12:00:00.5+01:00"), or of
// a date alone, which is its midnight in UTC. Finer fractions are cut off. nullopt: it is neither.
std::optional<int64_t> ParseDatetime(std::string_view text);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_DATETIME_H_
