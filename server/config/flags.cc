#include "server/config/flags.h"

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:6433",
          "HOST:PORT to listen on; port 0 takes a free one. An address that other machines can "
          "reach needs --api_keys_file and TLS, or --insecure.");
ABSL_FLAG(std::string, api_keys_file, "",
          "File of the API keys of which each call needs one: lines of 'read KEY' or 'write KEY'. "
          "It may be renewed while the server runs. Empty: whoever can connect can read and change "
          "everything.");
ABSL_FLAG(std::string, tls_cert_file, "",
          "File with the server's certificate and those that lead to its authority, as PEM; with "
          "--tls_key_file. They may be renewed while the server runs. Empty: no encryption.");
ABSL_FLAG(std::string, tls_key_file, "", "File with the certificate's private key, as PEM.");
ABSL_FLAG(bool, insecure, false,
          "Allow --listen on an address that other machines can reach without API keys or without "
          "TLS, in a network that is trusted.");
ABSL_FLAG(
    std::string, metrics_listen, "",
    "HOST:PORT to answer Prometheus on, over HTTP at /metrics. Whoever can connect to it reads "
    "the names and sizes of the collections. Empty: nowhere.");
ABSL_FLAG(std::string, data_dir, "",
          "Directory that holds all data; it is made if it is not there. Required.");
ABSL_FLAG(std::string, log_level, "info", "Least level to log: debug, info, warning or error.");
ABSL_FLAG(std::string, log_format, "text",
          "Form of the log on standard error: text, or json with one object a line.");
ABSL_FLAG(int32_t, search_threads, 0, "Threads for searches and reads; 0: one for each core.");
ABSL_FLAG(int32_t, write_threads, 4,
          "Threads for writes. They wait for the disk most of the time, so more of them put more "
          "writes into one sync.");
ABSL_FLAG(int32_t, background_threads, 0,
          "Threads for training and encoding, and for the store's compactions; 0: one for each "
          "core.");
ABSL_FLAG(int32_t, verify_percent, 0,
          "Of one core's time, what checking a sample of the searches against exact ones may take: "
          "so collections tell what recall their searches have. Others are slower while one of "
          "many millions is checked. 0: none are checked.");
ABSL_FLAG(int32_t, block_cache_mb, 64, "Memory for blocks read from the store, in MiB.");
ABSL_FLAG(
    int32_t, free_disk_mb_min, 128,
    "Writes are refused while less is free on the data directory's disk, in MiB; they are taken "
    "again when there is room.");
ABSL_FLAG(int32_t, drain_seconds, 10,
          "How long running calls may take to end after SIGTERM before they are cancelled.");
ABSL_FLAG(std::string, server, "", "HOST:PORT of the server to ask; empty: as --listen says.");

namespace tessera {

const std::vector<std::string>& ServerFlagNames() {
  static const auto& names = *new std::vector<std::string>{
      "data_dir",       "listen",         "api_keys_file",    "tls_cert_file",
      "tls_key_file",   "insecure",       "metrics_listen",   "log_level",
      "log_format",     "search_threads", "write_threads",    "background_threads",
      "block_cache_mb", "verify_percent", "free_disk_mb_min", "drain_seconds"};
  return names;
}

const std::vector<std::string>& HealthcheckFlagNames() {
  static const auto& names = *new std::vector<std::string>{"server", "listen", "tls_cert_file"};
  return names;
}

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("TESSERA_", absl::AsciiStrToUpper(flag));
}

}  // namespace tessera
