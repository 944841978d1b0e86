#ifndef TESSERA_TESTS_INTEGRATION_CLI_FIXTURE_H_
#define TESSERA_TESTS_INTEGRATION_CLI_FIXTURE_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/subprocess.h"

namespace tessera {

using Json = nlohmann::json;

// What the CLI exits with.
inline constexpr int kUsage = 2;
inline constexpr int kInputFile = 3;
inline constexpr int kNotFound = 4;
inline constexpr int kUnavailable = 5;
inline constexpr int kRefused = 6;

// The CLI's binary against a real server of its own.
class CliTest : public testing::Test {
 protected:
  void SetUp() override;

  // Runs `tessera` against the server, in the environment's variable or by the flag.
  absl::StatusOr<CommandResult> Run(std::vector<std::string> arguments);

  // The one JSON document that a command prints; null, and a failure, if it exits otherwise.
  Json RunJson(std::vector<std::string> arguments, int exit_code = 0);

  // A collection for WordNet's vectors.
  Json Create(const std::string& name);

  // A copy of WordNet's first rows as a .npy file.
  std::string WriteNpy(const std::string& name, size_t rows, size_t cut_bytes = 0);
  std::string WriteLines(const std::string& name, const std::vector<std::string>& lines);

  Client& client() { return server_->client(); }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_INTEGRATION_CLI_FIXTURE_H_
