#include "tests/integration/cli_fixture.h"

#include "absl/strings/str_cat.h"
#include "tests/integration/requests.h"
#include "tests/integration/wordnet.h"

namespace tessera {

void CliTest::SetUp() {
  ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.File("data"),
                                                      .flags = {"--verify_percent=1"}}));
}

absl::StatusOr<CommandResult> CliTest::Run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), CliBinary());
  return RunCommand(arguments, {{"TESSERA_SERVER", server_->address()}});
}

Json CliTest::RunJson(std::vector<std::string> arguments, int exit_code) {
  arguments.insert(arguments.end(), {"--output", "json"});
  const absl::StatusOr<CommandResult> result = Run(arguments);
  EXPECT_OK(result.status());
  if (!result.ok()) return nullptr;
  EXPECT_EQ(result->exit_code, exit_code) << absl::StrCat(result->out, result->err);
  Json json = Json::parse(result->out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << result->out;
  return json.is_discarded() ? Json() : json;
}

Json CliTest::Create(const std::string& name) {
  return RunJson({"collection", "create", name, "--dimension", "128", "--metric", "ip",
                  "--element-type", "float16"});
}

std::string CliTest::WriteNpy(const std::string& name, size_t rows, size_t cut_bytes) {
  std::string header =
      absl::StrCat("{'descr': '<f2', 'fortran_order': False, 'shape': (", rows, ", 128), }");
  header.resize(117, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  bytes += header + GetWordNet().vectors.substr(0, rows * 256);
  bytes.resize(bytes.size() - cut_bytes);
  WriteWholeFile(folder_.File(name), bytes);
  return folder_.File(name);
}

std::string CliTest::WriteLines(const std::string& name, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  WriteWholeFile(folder_.File(name), text);
  return folder_.File(name);
}

}  // namespace tessera
