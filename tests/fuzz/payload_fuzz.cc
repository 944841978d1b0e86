// The server's check of payloads against a JSON parser of another make.
#include <cstdint>
#include <string_view>

#include "nlohmann/json.hpp"
#include "server/engine/payload.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::Status status = tessera::ValidatePayload(text);
  if (!status.ok()) {
    FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  // What is stored, every JSON parser reads.
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  FUZZ_CHECK(json.is_object());
  return 0;
}
