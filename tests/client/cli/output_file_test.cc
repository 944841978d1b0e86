#include "client/cli/output_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

size_t FilesIn(const TempDir& dir) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir.Path("")), {}));
}

TEST(OutputFile, IsThereWholeAfterCommit) {
  const TempDir dir;
  const std::string path = dir.Write("out", "old");
  {
    auto file = OutputFile::Create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->Append("new ").ok());
    EXPECT_TRUE((*file)->Append("bytes").ok());
    EXPECT_EQ(Contents(path), "old");
    EXPECT_TRUE((*file)->Commit().ok());
  }
  EXPECT_EQ(Contents(path), "new bytes");
  EXPECT_EQ(FilesIn(dir), 1u);
}

TEST(OutputFile, LeavesNothingBehindWithoutCommit) {
  const TempDir dir;
  const std::string path = dir.Write("out", "old");
  {
    auto file = OutputFile::Create(path);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE((*file)->Append("half").ok());
  }
  EXPECT_EQ(Contents(path), "old");
  EXPECT_EQ(FilesIn(dir), 1u);
}

TEST(OutputFile, SaysWhereItCannotWrite) {
  const TempDir dir;
  EXPECT_EQ(OutputFile::Create(dir.Path("absent/out")).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tessera::cli
