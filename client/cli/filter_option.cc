#include "client/cli/filter_option.h"

#include "CLI/CLI.hpp"

namespace tessera::cli {

void AddFilterOption(CLI::App* command, std::string& filter) {
  const CLI::Validator not_empty(
      [](std::string& text) { return std::string(text.empty() ? "the filter is empty" : ""); }, "");
  command
      ->add_option("--filter", filter,
                   "Only points that match, e.g. 'category = \"animal\" and senses > 2'; the "
                   "language is described in client/cli/README.md")
      ->check(not_empty);
}

}  // namespace tessera::cli
