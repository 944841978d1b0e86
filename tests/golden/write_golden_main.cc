// Writes a golden store of the present format, with its answers: write_golden FOLDER.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "index/base/status_macros.h"
#include "tests/golden/golden_store.h"

namespace tessera {
namespace {

absl::Status Write(const std::string& folder) {
  std::filesystem::create_directories(folder);
  RETURN_IF_ERROR(WriteGoldenStore(folder + "/data"));
  // The answers come from a copy, so that the store stays as it was written.
  const std::string copy = folder + "/copy";
  std::filesystem::copy(folder + "/data", copy, std::filesystem::copy_options::recursive);
  InlineExecutor executor;
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, OpenGoldenStore(copy, executor));
    ASSIGN_OR_RETURN(const std::string answers, DescribeStore(*engine));
    ASSIGN_OR_RETURN(const std::string restored, DescribeSnapshots(*engine));
    std::ofstream(folder + "/answers.txt", std::ios::binary) << answers << restored;
  }
  std::filesystem::remove_all(copy);
  return absl::OkStatus();
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 2 || std::filesystem::exists(argv[1])) {
    std::fprintf(stderr, "usage: write_golden FOLDER, which must not exist yet\n");
    return 2;
  }
  const absl::Status status = tessera::Write(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
