#include "client/cli/files/json_point.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace tessera::cli {
namespace {

namespace dom = simdjson::dom;

constexpr std::array<std::string_view, 3> kVectorNames = {"vector", "embedding", "values"};

absl::Status Refuse(std::string_view member, std::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(member), "\": ", std::string(message)));
}

absl::Status ParseVector(std::string_view name, const dom::element& value,
                         std::vector<float>* vector) {
  dom::array components;
  if (value.get_array().get(components) != simdjson::SUCCESS) {
    return Refuse(name, "not an array of numbers");
  }
  for (const dom::element component : components) {
    double number = 0;
    if (component.get_double().get(number) != simdjson::SUCCESS) {
      return Refuse(name, absl::StrCat("component ", vector->size(), " is not a number"));
    }
    if (!std::isfinite(static_cast<float>(number))) {
      return Refuse(name, absl::StrCat("component ", vector->size(), " is too large for a float"));
    }
    if (vector->size() == limits::kDimensionMax) {
      return Refuse(name, absl::StrCat("more than ", limits::kDimensionMax, " components"));
    }
    vector->push_back(static_cast<float>(number));
  }
  return vector->empty() ? Refuse(name, "has no components") : absl::OkStatus();
}

absl::Status ParseId(std::string_view name, const dom::element& value, JsonPoint* point) {
  uint64_t number = 0;
  std::string_view text;
  if (value.get_uint64().get(number) == simdjson::SUCCESS) {
    point->id = number;
  } else if (value.get_string().get(text) == simdjson::SUCCESS) {
    point->id = std::string(text);
  } else {
    return Refuse(name, "neither a string nor a whole number of 64 bits without sign");
  }
  return absl::OkStatus();
}

// What is neither id nor vector.
using Others = std::vector<std::pair<std::string_view, dom::element>>;

bool IsWholePayload(const Others& others) {
  if (others.size() != 1) return false;
  const auto& [name, value] = others.front();
  return (name == "payload" || name == "metadata") && (value.is_object() || value.is_null());
}

absl::Status MakePayload(const Others& others, std::string* payload) {
  if (IsWholePayload(others)) {
    const dom::element& value = others.front().second;
    if (!value.is_null()) *payload = simdjson::minify(value);
  } else {
    for (const auto& [name, value] : others) {
      absl::StrAppend(payload, payload->empty() ? "{" : ",", nlohmann::json(name).dump(), ":",
                      simdjson::minify(value));
    }
    if (!others.empty()) payload->append("}");
  }
  if (payload->size() <= limits::kPayloadBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a payload of ", payload->size(),
                                                 " bytes; at most ", limits::kPayloadBytesMax,
                                                 " are allowed"));
}

}  // namespace

struct JsonPointParser::Buffers {
  dom::parser parser;
  Others others;
};

JsonPointParser::JsonPointParser(JsonPointFields fields)
    : fields_(std::move(fields)), buffers_(std::make_unique<Buffers>()) {}

JsonPointParser::~JsonPointParser() = default;

bool JsonPointParser::IsVector(std::string_view name) const {
  if (!fields_.vector.empty()) return name == fields_.vector;
  return std::ranges::find(kVectorNames, name) != kVectorNames.end();
}

absl::Status JsonPointParser::Parse(std::string_view line, JsonPoint* point) {
  *point = JsonPoint();
  dom::object object;
  const simdjson::error_code error = buffers_->parser.parse(line).get(object);
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a JSON object: ", simdjson::error_message(error)));
  }
  std::string_view vector_name;
  Others& others = buffers_->others;
  others.clear();
  for (const auto& [name, value] : object) {
    if (name == fields_.id) {
      if (point->id.has_value()) return Refuse(name, "comes twice");
      RETURN_IF_ERROR(ParseId(name, value, point));
    } else if (IsVector(name) && vector_name.empty()) {
      RETURN_IF_ERROR(ParseVector(name, value, &point->vector));
      vector_name = name;
    } else if (name == vector_name) {
      return Refuse(name, "comes twice");
    } else {
      others.emplace_back(name, value);
    }
  }
  if (vector_name.empty()) {
    return Refuse(fields_.vector.empty() ? kVectorNames.front() : fields_.vector, "is missing");
  }
  return MakePayload(others, &point->payload);
}

}  // namespace tessera::cli
