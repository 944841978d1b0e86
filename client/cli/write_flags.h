#ifndef TESSERA_CLIENT_CLI_WRITE_FLAGS_H_
#define TESSERA_CLIENT_CLI_WRITE_FLAGS_H_

#include <string>

#include "CLI/App.hpp"
#include "tessera/v1/types.pb.h"

namespace tessera::cli {

// How a command's writes are to be done.
struct WriteFlags {
  std::string durability_name;
  std::string request_id;

  v1::Durability durability() const;
};

// Adds --durability and --request-id; `request_id_help` says what the id does for the command.
void AddWriteFlags(CLI::App* command, WriteFlags& flags, const std::string& request_id_help);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_WRITE_FLAGS_H_
