#include "client/cli/query_source.h"

#include <vector>

#include "client/cli/exit_code.h"
#include "client/cpp/vectors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;

TEST(ParseVector, ReadsNumbers) {
  const auto queries = ParseVector("1, -2.5,3e-4");
  ASSERT_TRUE(queries.ok()) << queries.status();
  EXPECT_EQ(queries->dimension, 3u);
  EXPECT_EQ(queries->rows, 1u);
  EXPECT_THAT(*ToFloats(queries->Slice(0, 1)), ElementsAre(1.0f, -2.5f, 3e-4f));
}

TEST(ParseVector, RefusesAnythingElse) {
  for (const char* text : {"", ",", "1,", "1,,2", "1;2", "one", "nan", "inf", "1e99", "1 2"}) {
    EXPECT_EQ(ExitCodeOf(ParseVector(text).status()), ExitCode::kUsage) << text;
  }
}

TEST(ParseRowRange, ReadsEveryForm) {
  const auto check = [](const char* text, uint64_t begin, uint64_t end) {
    const auto range = ParseRowRange(text);
    ASSERT_TRUE(range.ok()) << text;
    EXPECT_EQ(range->begin, begin) << text;
    EXPECT_EQ(range->end, end) << text;
  };
  check("3:7", 3, 7);
  check(":7", 0, 7);
  check("3:", 3, UINT64_MAX);
  check(":", 0, UINT64_MAX);
  check("3", 3, 4);
}

TEST(ParseRowRange, RefusesWhatIsEmptyOrMalformed) {
  for (const char* text :
       {"", "7:7", "7:3", "-1:3", "a:b", "1:2:3", "18446744073709551615", "1 :2"}) {
    EXPECT_EQ(ExitCodeOf(ParseRowRange(text).status()), ExitCode::kUsage) << text;
  }
}

TEST(ReadQueries, ReadsTheRowsThatTheFileHas) {
  const TempDir dir;
  std::string bytes;
  Put<uint32_t>(bytes, 4);
  Put<uint32_t>(bytes, 2);
  bytes += "abcdefgh";
  const std::string path = dir.Write("q.u8bin", bytes);
  const auto queries = ReadQueries(path, {1, 100});
  ASSERT_TRUE(queries.ok()) << queries.status();
  EXPECT_EQ(queries->rows, 3u);
  EXPECT_EQ(queries->first_row, 1u);
  EXPECT_EQ(queries->Slice(1, 2).data(), "efgh");
  EXPECT_EQ(queries->Slice(1, 2).element_type(), v1::UINT8);
  EXPECT_EQ(queries->Gather(std::vector<size_t>{2, 0, 2}).data(), "ghcdgh");
  EXPECT_EQ(ExitCodeOf(ReadQueries(path, {4, 5}).status()), ExitCode::kInputFile);
  EXPECT_EQ(ExitCodeOf(ReadQueries(dir.Path("absent.npy"), {}).status()), ExitCode::kInputFile);
}

}  // namespace
}  // namespace tessera::cli
