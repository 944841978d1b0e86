#ifndef TESSERA_SERVER_CONFIG_FLAGS_H_
#define TESSERA_SERVER_CONFIG_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/flags/declare.h"

// The flags of tesserad, for config.cc alone: everybody else gets a ServerConfig.

ABSL_DECLARE_FLAG(std::string, listen);
ABSL_DECLARE_FLAG(bool, insecure);
ABSL_DECLARE_FLAG(std::string, metrics_listen);
ABSL_DECLARE_FLAG(std::string, api_keys_file);
ABSL_DECLARE_FLAG(std::string, tls_cert_file);
ABSL_DECLARE_FLAG(std::string, tls_key_file);
ABSL_DECLARE_FLAG(std::string, data_dir);
ABSL_DECLARE_FLAG(std::string, log_level);
ABSL_DECLARE_FLAG(std::string, log_format);
ABSL_DECLARE_FLAG(int32_t, search_threads);
ABSL_DECLARE_FLAG(int32_t, write_threads);
ABSL_DECLARE_FLAG(int32_t, background_threads);
ABSL_DECLARE_FLAG(int32_t, block_cache_mb);
ABSL_DECLARE_FLAG(int32_t, verify_percent);
ABSL_DECLARE_FLAG(int32_t, free_disk_mb_min);
ABSL_DECLARE_FLAG(int32_t, drain_seconds);
ABSL_DECLARE_FLAG(std::string, server);

namespace tessera {

// Their names in the order of the help text. Each is also read from the environment.
const std::vector<std::string>& ServerFlagNames();
const std::vector<std::string>& HealthcheckFlagNames();

// TESSERA_DATA_DIR for "data_dir".
std::string EnvironmentName(const std::string& flag);

}  // namespace tessera

#endif  // TESSERA_SERVER_CONFIG_FLAGS_H_
