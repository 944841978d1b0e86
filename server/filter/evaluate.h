#ifndef TESSERA_SERVER_FILTER_EVALUATE_H_
#define TESSERA_SERVER_FILTER_EVALUATE_H_

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <variant>

#include "server/filter/filter.h"

namespace tessera {

using FilterIdView = std::variant<uint64_t, std::string_view>;

// Whether a payload meets a condition on one of its fields. The filter has been through
// CheckFilter. Thread-safe, as all here.
bool Matches(const FieldCondition& condition, const nlohmann::json& payload);

// Whether a point with this payload (a JSON object, or null for none) matches.
bool Matches(const Filter& filter, const FilterIdView& id, const nlohmann::json& payload);

// The same for a payload as it is stored: an object's text, or "". One that cannot be parsed holds
// nothing.
bool MatchesText(const Filter& filter, const FilterIdView& id, std::string_view payload);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_EVALUATE_H_
