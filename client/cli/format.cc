#include "client/cli/format.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tessera::cli {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::string FormatCount(uint64_t value) {
  const std::string digits = std::to_string(value);
  std::string result;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result;
}

std::string FormatFixed(double value, int decimals) {
  if (!std::isfinite(value)) return "-";
  return absl::StrFormat("%.*f", decimals, value);
}

std::string FormatRate(double per_second) {
  if (!std::isfinite(per_second) || per_second < 0) return "-";
  if (per_second >= 99.95) return FormatCount(static_cast<uint64_t>(std::llround(per_second)));
  return FormatFixed(per_second, per_second >= 9.995 ? 1 : 2);
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrCat(unit == 0 ? std::to_string(bytes) : FormatFixed(value, 1), " ", kUnits[unit]);
}

std::string FormatDuration(double seconds) {
  // Beyond this an estimate says nothing any more.
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1000.0 * 86400) return "-";
  const int64_t total = std::llround(seconds);
  const int64_t days = total / 86400, hours = total / 3600 % 24, minutes = total / 60 % 60;
  if (days > 0) return absl::StrFormat("%dd %02d:%02d", days, hours, minutes);
  if (hours > 0) return absl::StrFormat("%d:%02d:%02d", hours, minutes, total % 60);
  return absl::StrFormat("%d:%02d", minutes, total % 60);
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (const char c : text) width += IsContinuation(c) ? 0 : 1;
  return width;
}

std::string Ellipsize(std::string_view text, size_t columns) {
  if (DisplayWidth(text) <= columns) return std::string(text);
  const size_t keep = columns > 3 ? columns - 3 : 0;
  size_t width = 0, end = 0;
  while (end < text.size() && (width < keep || IsContinuation(text[end]))) {
    if (!IsContinuation(text[end])) ++width;
    ++end;
  }
  return absl::StrCat(std::string(text.substr(0, end)), std::string("...").substr(0, columns));
}

std::string Printable(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return result;
}

}  // namespace tessera::cli
