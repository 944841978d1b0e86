#include "server/config/config.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/config/address.h"
#include "server/config/flag_parser.h"
#include "server/config/flags.h"

namespace tessera {
namespace {

bool IsOneOf(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status Invalid(const char* flag, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", what));
}

absl::Status CheckRange(const char* flag, int32_t value, int32_t value_min, int32_t value_max) {
  if (value >= value_min && value <= value_max) return absl::OkStatus();
  return Invalid(flag, absl::StrCat("is ", value, ", must be ", value_min, " to ", value_max));
}

absl::StatusOr<LogLevel> ParseLogLevel(const std::string& text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return Invalid("log_level", absl::StrCat("'", text, "' is not debug, info, warning or error"));
}

absl::StatusOr<LogFormat> ParseLogFormat(const std::string& text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return Invalid("log_format", absl::StrCat("'", text, "' is not text or json"));
}

absl::StatusOr<size_t> ThreadCount(const char* flag, int32_t value, int32_t value_min) {
  RETURN_IF_ERROR(CheckRange(flag, value, value_min, limits::kThreadsMax));
  if (value > 0) return static_cast<size_t>(value);
  return std::max<size_t>(std::thread::hardware_concurrency(), 1);
}

absl::StatusOr<Address> ListenAddress() {
  absl::StatusOr<Address> address = ParseAddress(absl::GetFlag(FLAGS_listen));
  if (!address.ok()) return Invalid("listen", std::string(address.status().message()));
  return address;
}

// Empty if there is none.
absl::StatusOr<std::string> MetricsAddress() {
  const std::string text = absl::GetFlag(FLAGS_metrics_listen);
  if (text.empty()) return text;
  const absl::StatusOr<Address> address = ParseAddress(text);
  if (!address.ok()) return Invalid("metrics_listen", std::string(address.status().message()));
  return address->ToString();
}

absl::Status ReadSecretFlags(ServerConfig& config) {
  config.api_keys_file = absl::GetFlag(FLAGS_api_keys_file);
  config.tls_cert_file = absl::GetFlag(FLAGS_tls_cert_file);
  config.tls_key_file = absl::GetFlag(FLAGS_tls_key_file);
  if (config.tls_cert_file.empty() && !config.tls_key_file.empty()) {
    return Invalid("tls_cert_file", "is required where --tls_key_file is given");
  }
  if (config.tls_key_file.empty() && !config.tls_cert_file.empty()) {
    return Invalid("tls_key_file", "is required where --tls_cert_file is given");
  }
  return absl::OkStatus();
}

absl::StatusOr<ServerConfig> CheckedConfig() {
  ServerConfig config;
  ASSIGN_OR_RETURN(const Address address, ListenAddress());
  config.listen = address.ToString();
  RETURN_IF_ERROR(ReadSecretFlags(config));
  const bool is_safe = !config.api_keys_file.empty() && !config.tls_cert_file.empty();
  if (!IsLoopback(address) && !is_safe && !absl::GetFlag(FLAGS_insecure)) {
    return Invalid("listen",
                   absl::StrCat("other machines can reach ", config.listen,
                                ": give --api_keys_file, --tls_cert_file and --tls_key_file, or "
                                "--insecure if the network is trusted"));
  }
  ASSIGN_OR_RETURN(config.metrics_listen, MetricsAddress());
  config.data_dir = absl::GetFlag(FLAGS_data_dir);
  if (config.data_dir.empty()) return Invalid("data_dir", "is required");
  ASSIGN_OR_RETURN(config.log_level, ParseLogLevel(absl::GetFlag(FLAGS_log_level)));
  ASSIGN_OR_RETURN(config.log_format, ParseLogFormat(absl::GetFlag(FLAGS_log_format)));
  ASSIGN_OR_RETURN(config.search_threads,
                   ThreadCount("search_threads", absl::GetFlag(FLAGS_search_threads), 0));
  ASSIGN_OR_RETURN(config.write_threads,
                   ThreadCount("write_threads", absl::GetFlag(FLAGS_write_threads), 1));
  ASSIGN_OR_RETURN(config.background_threads,
                   ThreadCount("background_threads", absl::GetFlag(FLAGS_background_threads), 0));
  const int32_t cache_mb = absl::GetFlag(FLAGS_block_cache_mb);
  RETURN_IF_ERROR(CheckRange("block_cache_mb", cache_mb, 1, limits::kBlockCacheMbMax));
  config.block_cache_bytes = static_cast<size_t>(cache_mb) << 20;
  const int32_t verify_percent = absl::GetFlag(FLAGS_verify_percent);
  RETURN_IF_ERROR(CheckRange("verify_percent", verify_percent, 0, 100));
  config.verify_core_share = verify_percent / 100.0;
  const int32_t free_mb = absl::GetFlag(FLAGS_free_disk_mb_min);
  RETURN_IF_ERROR(CheckRange("free_disk_mb_min", free_mb, 1, std::numeric_limits<int32_t>::max()));
  config.free_disk_bytes_min = static_cast<size_t>(free_mb) << 20;
  const int32_t drain_seconds = absl::GetFlag(FLAGS_drain_seconds);
  RETURN_IF_ERROR(CheckRange("drain_seconds", drain_seconds, 0, limits::kDrainSecondsMax));
  config.drain = absl::Seconds(drain_seconds);
  return config;
}

absl::StatusOr<std::string> ServerToAsk() {
  const std::string server = absl::GetFlag(FLAGS_server);
  absl::StatusOr<Address> address = server.empty() ? ListenAddress() : ParseAddress(server);
  if (!address.ok()) return address.status();
  return ReachableFromHere(*address).ToString();
}

// Sets the flags from the weakest source to the strongest. Those that do not belong to `names`
// are refused on the command line and in the file: a typing error must not pass for a default.
absl::Status SetFlags(const CommandLine& line, const std::vector<std::string>& names,
                      const Environment& environment) {
  for (const std::string& name : names) {
    const std::string variable = EnvironmentName(name);
    const std::optional<std::string> value = environment(variable);
    if (value.has_value()) RETURN_IF_ERROR(SetFlag({name, *value, variable}));
  }
  std::vector<FlagAssignment> assignments;
  for (const FlagAssignment& flag : line.assignments) {
    if (flag.name != "flagfile") continue;
    ASSIGN_OR_RETURN(std::vector<FlagAssignment> of_file, ReadFlagFile(flag.value));
    assignments.insert(assignments.end(), of_file.begin(), of_file.end());
  }
  for (const FlagAssignment& flag : line.assignments) {
    if (flag.name != "flagfile") assignments.push_back(flag);
  }
  for (const FlagAssignment& flag : assignments) {
    if (!IsOneOf(flag.name, names)) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag.origin, ": there is no flag --", flag.name, " here"));
    }
    RETURN_IF_ERROR(SetFlag(flag));
  }
  return absl::OkStatus();
}

// One flag's entry of the help text, wrapped.
std::string DescribeFlag(const std::string& name) {
  constexpr size_t kWidth = 92;
  const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  const std::string value = flag->DefaultValue();
  std::string out = absl::StrCat("  --", name);
  if (!flag->IsOfType<bool>()) absl::StrAppend(&out, "=", value.empty() ? "VALUE" : value);
  std::string line = "     ";
  std::string text = flag->Help();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (line.size() + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, "\n", line);
      line = "     ";
    }
    absl::StrAppend(&line, " ", word);
    at = end + 1;
  }
  absl::StrAppend(&out, "\n", line, "\n");
  return out;
}

}  // namespace

absl::StatusOr<Command> ParseCommand(const std::vector<std::string>& arguments,
                                     const Environment& environment) {
  ASSIGN_OR_RETURN(const CommandLine line, SplitCommandLine(arguments, {"help", "version"}));
  Command command;
  for (const FlagAssignment& flag : line.assignments) {
    if (flag.name == "help") command.kind = Command::Kind::kHelp;
    if (flag.name == "version") command.kind = Command::Kind::kVersion;
    if (command.kind != Command::Kind::kServe) return command;
  }
  if (line.words.empty()) {
    RETURN_IF_ERROR(SetFlags(line, ServerFlagNames(), environment));
    ASSIGN_OR_RETURN(command.config, CheckedConfig());
  } else if (line.words.size() == 1 && line.words[0] == "healthcheck") {
    command.kind = Command::Kind::kHealthcheck;
    RETURN_IF_ERROR(SetFlags(line, HealthcheckFlagNames(), environment));
    ASSIGN_OR_RETURN(command.server, ServerToAsk());
    command.tls = !absl::GetFlag(FLAGS_tls_cert_file).empty();
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("'", line.words[0], "' is not a sub-command: there is only healthcheck"));
  }
  return command;
}

std::string HelpText() {
  std::string out =
      "tesserad: the Tessera vector search server\n"
      "\n"
      "  tesserad --data_dir=DIR [flags]    serve until SIGTERM or SIGINT\n"
      "  tesserad healthcheck [flags]       exit 0 if a server is up and ready, else 1\n"
      "  tesserad --version\n"
      "\n"
      "Flags, with their defaults:\n\n";
  for (const std::string& name : ServerFlagNames()) out += DescribeFlag(name);
  out +=
      "  --flagfile=FILE\n"
      "      Read flags from a file: one --name=value a line, # for comments.\n"
      "\n"
      "Flags of healthcheck: --listen, --tls_cert_file (the server encrypts; whose certificate it\n"
      "shows is not looked at), and\n\n";
  out += DescribeFlag("server");
  out +=
      "\n"
      "Each flag but --flagfile can also be set in the environment, as TESSERA_ and its name in\n"
      "upper case: TESSERA_DATA_DIR=/data. The command line wins over the flag file, that over\n"
      "the environment.\n"
      "\n"
      "The server runs in the foreground. SIGTERM or SIGINT makes it drain and exit 0; a second\n"
      "one ends it at once. A wrong flag is exit code 2, a failure to start is 1.\n"
      "\n"
      "Example:\n"
      "  tesserad --data_dir=/var/lib/tessera --listen=127.0.0.1:6433 --log_format=json\n";
  return out;
}

}  // namespace tessera
