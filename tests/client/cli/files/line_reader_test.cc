#include <memory>
#include <string>
#include <vector>

#include "client/cli/files/raw_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> LinesOf(const std::string& bytes) {
  const TempDir dir;
  auto file = RawFile::Open(dir.Write("lines.txt", bytes));
  EXPECT_TRUE(file.ok());
  LineReader reader(*std::move(file), 100);
  std::vector<std::string> lines;
  std::string_view line;
  while (*reader.Next(&line)) lines.emplace_back(line);
  EXPECT_EQ(reader.line_number(), lines.size());
  return lines;
}

TEST(LineReader, SplitsAtEveryKindOfEnd) {
  EXPECT_THAT(LinesOf(""), IsEmpty());
  EXPECT_THAT(LinesOf("\n"), ElementsAre(""));
  EXPECT_THAT(LinesOf("a"), ElementsAre("a"));
  EXPECT_THAT(LinesOf("a\n"), ElementsAre("a"));
  EXPECT_THAT(LinesOf("a\r\nb\n\nc"), ElementsAre("a", "b", "", "c"));
}

TEST(LineReader, PassesOverAByteOrderMark) {
  EXPECT_THAT(LinesOf("\xEF\xBB\xBF"
                      "7\n\xEF\xBB\xBF"
                      "8\n"),
              ElementsAre("7",
                          "\xEF\xBB\xBF"
                          "8"));
}

TEST(LineReader, ReadsLinesAcrossItsBuffer) {
  std::string bytes;
  std::vector<std::string> expected;
  for (int i = 0; i < 300'000; ++i) {
    expected.push_back("line " + std::to_string(i));
    bytes += expected.back() + "\n";
  }
  EXPECT_EQ(LinesOf(bytes), expected);
}

// The reader's buffer may end between the two characters of a line's end.
TEST(LineReader, TakesALineOfItsLimitWhoseEndIsCutByTheBuffer) {
  const std::string longest(100, 'x');
  for (int before = 0; before < 4; ++before) {
    std::string bytes(before, '\n');
    while (bytes.size() < (size_t{1} << 20) - 2 * longest.size()) bytes += "a\n";
    bytes.append((size_t{1} << 20) - 1 - longest.size() - bytes.size(), '\n');
    bytes.insert(bytes.size(), longest + "\r\nlast\n");
    bytes.erase(0, before);
    const std::vector<std::string> lines = LinesOf(bytes);
    ASSERT_GT(lines.size(), 2u);
    EXPECT_EQ(lines[lines.size() - 2], longest);
    EXPECT_EQ(lines.back(), "last");
  }
}

TEST(LineReader, RefusesLinesOverItsLimitWithoutReadingThemWhole) {
  const TempDir dir;
  for (const std::string& bytes :
       {"ok\n" + std::string(101, 'x') + "\n", "ok\n" + std::string(5'000'000, 'x')}) {
    auto file = RawFile::Open(dir.Write("lines.txt", bytes));
    ASSERT_TRUE(file.ok());
    LineReader reader(*std::move(file), 100);
    std::string_view line;
    ASSERT_TRUE(*reader.Next(&line));
    const auto next = reader.Next(&line);
    EXPECT_THAT(std::string(next.status().message()),
                HasSubstr("lines.txt, line 2: longer than the limit of 100 bytes"));
  }
}

}  // namespace
}  // namespace tessera::cli
