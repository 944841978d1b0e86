#ifndef TESSERA_CLIENT_CLI_NUMBER_OPTION_H_
#define TESSERA_CLIENT_CLI_NUMBER_OPTION_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "CLI/CLI.hpp"

// Every option that takes unsigned numbers is added here. CLI11 alone would read them with strtoull
// and no check: '' as 0, 010 as 8, -1 as the greatest of 64 bits.
namespace tessera::cli {

// Accepts a decimal number (ParseUint64) of [min, max] and hands it to CLI11 in the one form that
// strtoull reads as what it is.
CLI::Validator DecimalNumber(uint64_t min, uint64_t max);

template <typename T>
struct NumberOf {
  using Type = T;
};
template <typename T>
struct NumberOf<std::optional<T>> {
  using Type = T;
};

// `Target` is uint32_t, uint64_t, or an optional of one of them. The default of `max` is the
// greatest value that fits.
template <typename Target>
CLI::Option* AddNumber(CLI::App* command, const std::string& name, Target& target,
                       const std::string& description, uint64_t min = 0,
                       uint64_t max = std::numeric_limits<typename NumberOf<Target>::Type>::max()) {
  static_assert(std::is_unsigned_v<typename NumberOf<Target>::Type>);
  return command->add_option(name, target, description)->transform(DecimalNumber(min, max));
}

// A list with commas, e.g. ids: 7,8. The option may be repeated, too.
CLI::Option* AddNumbers(CLI::App* command, const std::string& name, std::vector<uint64_t>& target,
                        const std::string& description);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_NUMBER_OPTION_H_
