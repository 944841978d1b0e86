#ifndef TESSERA_CLIENT_CLI_CONNECTION_H_
#define TESSERA_CLIENT_CLI_CONNECTION_H_

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "client/cli/context.h"
#include "client/cpp/client.h"

namespace tessera::cli {

// The options that say where the server is, whether the connection is encrypted, and what key it
// asks for. A key is never an option itself: everybody on the machine sees the command lines.
void AddConnectionOptions(CLI::App& app, GlobalOptions& options);

// Reads the files that they name, and the key from the environment if no file has it. An input
// file's error, or a usage error; neither repeats a key.
absl::StatusOr<ClientOptions> ToClientOptions(const GlobalOptions& options);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_CONNECTION_H_
