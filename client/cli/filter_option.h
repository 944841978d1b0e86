#ifndef TESSERA_CLIENT_CLI_FILTER_OPTION_H_
#define TESSERA_CLIENT_CLI_FILTER_OPTION_H_

#include <string>

#include "CLI/App.hpp"

namespace tessera::cli {

// Adds --filter. What ParseFilter refuses is refused with the command line, and so is an empty
// text: it would take in every point where a shell's variable happens to be unset. So `filter` is
// empty only if the option is not there.
void AddFilterOption(CLI::App* command, std::string& filter);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILTER_OPTION_H_
