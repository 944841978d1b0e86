#include "server/filter/datetime.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"

namespace tessera {

std::optional<int64_t> ParseDatetime(std::string_view text) {
  constexpr size_t kDateBytes = 10;      // 2024-02-29
  constexpr size_t kDatetimeBytes = 64;  // more than any fraction that means something
  // absl also takes blanks, short years and "infinite-future", RFC 3339 does not.
  if (text.size() < kDateBytes || text.size() > kDatetimeBytes) return std::nullopt;
  for (size_t i = 0; i < kDateBytes; ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? text[i] != '-' : !absl::ascii_isdigit(text[i])) return std::nullopt;
  }
  if (absl::ascii_isspace(text.back())) return std::nullopt;
  std::string padded(text);
  if (text.size() == kDateBytes) {
    padded += "T00:00:00Z";
  } else if (padded[kDateBytes] == 't' || padded[kDateBytes] == ' ') {
    padded[kDateBytes] = 'T';
  }
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, padded, &time, nullptr)) return std::nullopt;
  return absl::ToUnixMicros(time);
}

}  // namespace tessera
