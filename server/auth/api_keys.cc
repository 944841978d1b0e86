#include "server/auth/api_keys.h"

#include <openssl/sha.h>

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::optional<Access> ParseAccess(absl::string_view word) {
  if (word == "read") return Access::kRead;
  if (word == "write") return Access::kWrite;
  return std::nullopt;
}

absl::Status Invalid(size_t line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", View(what)));
}

}  // namespace

bool IsApiKey(std::string_view text) {
  return text.size() >= limits::kApiKeyBytesMin && text.size() <= limits::kApiKeyBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

absl::StatusOr<ApiKeys> ApiKeys::Parse(std::string_view text) {
  ApiKeys keys;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(View(text), '\n')) {
    ++number;
    const absl::string_view stripped = absl::StripAsciiWhitespace(line);
    if (stripped.empty() || stripped[0] == '#') continue;
    const size_t blank = stripped.find_first_of(" \t");
    const std::optional<Access> access = ParseAccess(stripped.substr(0, blank));
    if (!access.has_value() || blank == absl::string_view::npos) {
      return Invalid(number, "is not 'read KEY' or 'write KEY'");
    }
    const absl::string_view key = absl::StripAsciiWhitespace(stripped.substr(blank));
    if (!IsApiKey({key.data(), key.size()})) {
      return Invalid(number, absl::StrCat("the key is not ", limits::kApiKeyBytesMin, " to ",
                                          limits::kApiKeyBytesMax,
                                          " printable ASCII characters without blanks"));
    }
    if (!keys.access_.emplace(DigestOf({key.data(), key.size()}), *access).second) {
      return Invalid(number, "the key stands there twice");
    }
    if (keys.size() > limits::kApiKeysMax) {
      return Invalid(number, absl::StrCat("more than ", limits::kApiKeysMax, " keys"));
    }
  }
  if (keys.size() == 0) return absl::InvalidArgumentError("there is no key");
  return keys;
}

Access ApiKeys::Find(std::string_view key) const {
  const auto at = access_.find(DigestOf(key));
  return at == access_.end() ? Access::kNone : at->second;
}

ApiKeys::Digest ApiKeys::DigestOf(std::string_view key) {
  Digest digest;
  static_assert(sizeof(digest) == SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

}  // namespace tessera
