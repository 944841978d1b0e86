#ifndef TESSERA_SERVER_CONFIG_FLAG_PARSER_H_
#define TESSERA_SERVER_CONFIG_FLAG_PARSER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Command lines and flag files as lists of assignments, which are then set in the order of their
// precedence. absl::ParseCommandLine is not used because it ends the process by itself, with an
// exit code of its own, and lets a flag file win over what stands before it.
namespace tessera {

struct FlagAssignment {
  std::string name;
  std::string value;
  std::string origin;  // for messages: "--listen", "server.flags:3", "TESSERA_LISTEN"
};

struct CommandLine {
  std::vector<std::string> words;           // that are no flags
  std::vector<FlagAssignment> assignments;  // in their order
};

// Flags are --name=value, --name value, --bool and --nobool, with one or two dashes; after "--"
// come only words. `bare` are names that need no value and are no absl flags ("help", "version").
absl::StatusOr<CommandLine> SplitCommandLine(const std::vector<std::string>& arguments,
                                             const std::vector<std::string>& bare);

// The file's lines as assignments. NOT_FOUND if it cannot be read.
absl::StatusOr<std::vector<FlagAssignment>> ReadFlagFile(const std::string& path);

// Sets the absl flag. INVALID_ARGUMENT names the origin.
absl::Status SetFlag(const FlagAssignment& assignment);

}  // namespace tessera

#endif  // TESSERA_SERVER_CONFIG_FLAG_PARSER_H_
