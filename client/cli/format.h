#ifndef TESSERA_CLIENT_CLI_FORMAT_H_
#define TESSERA_CLIENT_CLI_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

// Numbers and texts as people read them. Pure functions.
namespace tessera::cli {

std::string FormatCount(uint64_t value);              // 1234567 -> "1,234,567"
std::string FormatFixed(double value, int decimals);  // 0.98765, 3 -> "0.988"; "-" if not finite
std::string FormatRate(double per_second);            // "38,120", "12.3", "0.25": three digits
std::string FormatBytes(uint64_t bytes);              // "512 B", "1.5 MiB"
std::string FormatDuration(double seconds);           // "0:07", "12:34", "1:02:03", "2d 03:04"

// Characters that a terminal shows for UTF-8 text, each counted as one column.
size_t DisplayWidth(std::string_view text);
// At most `columns` of them; what is cut off is marked by "...".
std::string Ellipsize(std::string_view text, size_t columns);
// Control characters, which could drive a terminal, replaced by spaces.
std::string Printable(std::string_view text);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FORMAT_H_
