#include "client/cli/number_option.h"

#include "absl/strings/str_cat.h"
#include "client/cli/files/id_source.h"

namespace tessera::cli {

CLI::Validator DecimalNumber(uint64_t min, uint64_t max) {
  // The help shows ranges, not what just fits the type.
  const std::string shown = min > 0 ? absl::StrCat("in [", min, " - ", max, "]") : "";
  return CLI::Validator(
      [min, max](std::string& text) -> std::string {
        uint64_t value = 0;
        if (!ParseUint64(text, &value) || value < min || value > max) {
          return absl::StrCat("'", text, "' is not a decimal number from ", min, " to ", max);
        }
        text = absl::StrCat(value);
        return {};
      },
      shown);
}

CLI::Option* AddNumbers(CLI::App* command, const std::string& name, std::vector<uint64_t>& target,
                        const std::string& description) {
  return command->add_option(name, target, description)
      ->transform(DecimalNumber(0, UINT64_MAX))
      ->delimiter(',')
      ->allow_extra_args(false);
}

}  // namespace tessera::cli
