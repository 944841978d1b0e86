// The server's check of payloads, and its edits of them as texts, against a JSON parser of another
// make.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/engine/payload.h"
#include "server/filter/payload_edit.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using nlohmann::json;
using tessera::FieldPath;

constexpr std::string_view kUpdate = R"({"a":1,"new":[2]})";

struct Edits {
  explicit Edits(std::string_view payload)
      : merged(tessera::MergePayload(payload, kUpdate)),
        without(tessera::DeleteFromPayload(payload, {FieldPath("a")})),
        selected(tessera::SelectPayload(payload, {.enabled = true, .include = {FieldPath("a")}})),
        deeper(tessera::SelectPayload(payload, {.enabled = true,
                                                .include = {FieldPath("a.b"), FieldPath("c")},
                                                .exclude = {FieldPath("c.d"), FieldPath("")}})) {}
  std::string merged, without, selected, deeper;
};

json Parsed(const std::string& text) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  FUZZ_CHECK(parsed.is_object());
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Edits edits(text);  // whatever it is, it is walked to its end and no farther
  const absl::Status status = tessera::ValidatePayload(text);
  if (!status.ok()) {
    FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  // What is stored, every JSON parser reads.
  const json payload = Parsed(std::string(text));
  json merged = payload;
  merged.update(json::parse(kUpdate));
  FUZZ_CHECK(Parsed(edits.merged) == merged);
  json without = payload;
  without.erase("a");
  FUZZ_CHECK(Parsed(edits.without) == without);
  json selected = json::object();
  if (payload.contains("a")) selected["a"] = payload["a"];
  FUZZ_CHECK(Parsed(edits.selected) == selected);
  Parsed(edits.deeper);
  return 0;
}
