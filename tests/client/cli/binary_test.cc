// The program itself, as a shell sees it: exit codes and where its output goes.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Outcome {
  int code;
  std::string out;
};

// Runs the program by a shell and returns its exit code and standard output.
Outcome RunProgram(const std::string& arguments, const std::string& environment = "") {
  const std::string command = environment + " '" TESSERA_CLI_BINARY "' " + arguments;
  FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  Outcome outcome{-1, ""};
  std::array<char, 4096> buffer;
  for (size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    outcome.out.append(buffer.data(), n);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  return outcome;
}

TEST(Binary, ReturnsItsDocumentedExitCodes) {
  EXPECT_EQ(RunProgram("version").code, 0);
  EXPECT_EQ(RunProgram("--help").code, 0);
  EXPECT_EQ(RunProgram("nonsense 2>/dev/null").code, 2);
  EXPECT_EQ(RunProgram("load words /nonexistent.npy 2>/dev/null").code, 3);
  EXPECT_EQ(RunProgram("--server 127.0.0.1:1 health 2>/dev/null").code, 5);
}

TEST(Binary, KeepsStandardOutputForResults) {
  EXPECT_THAT(RunProgram("nonsense 2>/dev/null").out, IsEmpty());
  EXPECT_THAT(RunProgram("nonsense 2>&1 >/dev/null").out, HasSubstr("unknown command"));
  const Outcome json = RunProgram("--output json --server 127.0.0.1:1 health 2>/dev/null");
  EXPECT_EQ(nlohmann::json::parse(json.out)["error"]["code"], "UNAVAILABLE");
}

TEST(Binary, FailsIfItsOutputCannotBeWritten) {
  for (const char* arguments : {"version", "version --output json", "--help", "--version"}) {
    EXPECT_EQ(RunProgram(std::string(arguments) + " 2>/dev/null >/dev/full").code, 1) << arguments;
  }
  EXPECT_THAT(RunProgram("version 2>&1 >/dev/full").out,
              HasSubstr("tessera: cannot write to standard output"));
}

TEST(Binary, TakesTheServerFromTheEnvironmentAndTheOptionFirst) {
  EXPECT_THAT(RunProgram("health 2>&1", "TESSERA_SERVER=127.0.0.1:1").out,
              HasSubstr("127.0.0.1:1)"));
  EXPECT_THAT(RunProgram("health --server 127.0.0.1:2 2>&1", "TESSERA_SERVER=127.0.0.1:1").out,
              HasSubstr("127.0.0.1:2)"));
}

}  // namespace
}  // namespace tessera::cli
