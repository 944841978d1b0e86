#ifndef TESSERA_SERVER_CONFIG_CONFIG_H_
#define TESSERA_SERVER_CONFIG_CONFIG_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tessera {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// What `tesserad` is started with, checked: the flags of flags.cc.
struct ServerConfig {
  std::string listen;
  std::string data_dir;
  std::string api_keys_file;  // empty: no key is needed
  std::string tls_cert_file;  // with tls_key_file; empty: plain text
  std::string tls_key_file;
  std::string metrics_listen;  // empty: nowhere
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  size_t search_threads = 1;
  size_t write_threads = 1;
  size_t background_threads = 1;
  size_t block_cache_bytes = 0;
  double verify_core_share = 0;  // of one core's time
  size_t free_disk_bytes_min = 0;
  absl::Duration drain;
};

// What a command line asks for.
struct Command {
  enum class Kind { kServe, kHealthcheck, kVersion, kHelp };
  Kind kind = Kind::kServe;
  ServerConfig config;  // of kServe
  std::string server;   // of kHealthcheck: "host:port" to ask
  bool tls = false;     // of kHealthcheck: whether that encrypts
};

// The value of an environment variable, if it is set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Reads `arguments` (without the program's name): the sub-command `healthcheck`, flags as
// --name=value, --name value,
// --bool or --nobool, and --flagfile=FILE with one flag a line, # for comments. A flag's value is
// that of the command line, else of the flag file, else of TESSERA_<NAME> in the environment, else
// its default. INVALID_ARGUMENT says what is wrong and where it came from.
//
// Not thread-safe: it sets the process's flags.
absl::StatusOr<Command> ParseCommand(const std::vector<std::string>& arguments,
                                     const Environment& environment);

// The text of --help.
std::string HelpText();

}  // namespace tessera

#endif  // TESSERA_SERVER_CONFIG_CONFIG_H_
