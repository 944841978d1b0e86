#include "client/cli/filter_option.h"

#include "CLI/CLI.hpp"
#include "client/cli/filter_expression.h"

namespace tessera::cli {

void AddFilterOption(CLI::App* command, std::string& filter) {
  const CLI::Validator is_filter(
      [](std::string& text) {
        if (text.empty()) return std::string("the filter is empty");
        const absl::StatusOr<v1::Filter> filter = ParseFilter(text);
        return filter.ok() ? std::string() : std::string(filter.status().message());
      },
      "");
  command
      ->add_option("--filter", filter,
                   "Only points that match, e.g. 'category = \"animal\" and senses > 2'; the "
                   "language is described in client/cli/README.md")
      ->check(is_filter);
}

}  // namespace tessera::cli
