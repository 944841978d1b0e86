#ifndef TESSERA_CLIENT_CLI_CLI_H_
#define TESSERA_CLIENT_CLI_CLI_H_

#include <ostream>
#include <string>
#include <vector>

namespace tessera::cli {

// Runs one command line (without the program's name) and returns its exit code. Results go to
// `out`, progress and errors to `err`. `columns`: of the terminal that err is; 0 if it is none.
int RunCli(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
           size_t columns);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_CLI_H_
