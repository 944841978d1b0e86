#include <cstdint>
#include <string>
#include <string_view>

#include "index/base/limits.h"
#include "server/auth/api_keys.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

constexpr char kKey[] = "a-key-of-the-fuzz-target";

// The file with one line more, for a key that it does not have yet.
void CheckWithOneMore(const std::string& text, size_t known) {
  const auto more = tessera::ApiKeys::Parse(text + "\nread " + kKey);
  if (known == tessera::limits::kApiKeysMax) return;
  FUZZ_CHECK(more.ok() && more->size() == known + 1);
  FUZZ_CHECK(more->Find(kKey) == tessera::Access::kRead);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto keys = tessera::ApiKeys::Parse(text);
  if (!keys.ok()) {
    FUZZ_CHECK(keys.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  FUZZ_CHECK(keys->size() >= 1 && keys->size() <= tessera::limits::kApiKeysMax);
  FUZZ_CHECK(keys->Find("") == tessera::Access::kNone);
  // What is no key of the grammar is none of the file, the text itself among others.
  if (!tessera::IsApiKey(text)) FUZZ_CHECK(keys->Find(text) == tessera::Access::kNone);
  if (keys->Find(kKey) == tessera::Access::kNone) CheckWithOneMore(text, keys->size());
  return 0;
}
