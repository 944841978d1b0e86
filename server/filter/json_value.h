#ifndef TESSERA_SERVER_FILTER_JSON_VALUE_H_
#define TESSERA_SERVER_FILTER_JSON_VALUE_H_

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace tessera {

// The value as an integer, if it is written as one and fits. 3.0 is a float.
inline std::optional<int64_t> AsInteger(const nlohmann::json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return std::nullopt;
  }
  return value.get<int64_t>();
}

// A stored payload, which was valid when it was written; null for "" and for what is damaged.
inline nlohmann::json ParsePayload(std::string_view text) {
  if (text.empty()) return nullptr;
  nlohmann::json payload =
      nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (payload.is_discarded()) return nullptr;
  return payload;
}

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_JSON_VALUE_H_
