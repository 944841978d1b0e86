// Points of JSON Lines: whatever is taken, a JSON parser of another make takes as well.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "client/cli/files/json_point.h"
#include "index/base/limits.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  for (const char* vector_field : {"", "embedding"}) {
    tessera::cli::JsonPointParser parser({.vector = vector_field});
    tessera::cli::JsonPoint point;
    const absl::Status status = parser.Parse(line, &point);
    if (!status.ok()) {
      FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
      continue;
    }
    FUZZ_CHECK(nlohmann::json::accept(line));
    FUZZ_CHECK(!point.vector.empty() && point.vector.size() <= tessera::limits::kDimensionMax);
    for (const float component : point.vector) FUZZ_CHECK(std::isfinite(component));
    FUZZ_CHECK(point.payload.size() <= tessera::limits::kPayloadBytesMax);
    FUZZ_CHECK(point.payload.empty() ||
               nlohmann::json::parse(point.payload, nullptr, false).is_object());
  }
  return 0;
}
