#include "client/cli/files/id_source.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<IdSource> Open(const std::string& path, IdKind kind = IdKind::kAuto) {
  auto source = OpenIdFile(path, kind);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST(RowNumberIds, CountFromZeroAndSkip) {
  const auto source = MakeRowNumberIds();
  IdBatch batch;
  ASSERT_TRUE(source->Next(2, &batch).ok());
  EXPECT_THAT(batch.numbers, ElementsAre(0, 1));
  ASSERT_TRUE(source->Skip(10).ok());
  ASSERT_TRUE(source->Next(1, &batch).ok());
  EXPECT_THAT(batch.numbers, ElementsAre(12));
  EXPECT_TRUE(source->ExpectEnd().ok());
}

TEST(TextIds, TheFirstLineDecidesTheirKind) {
  const TempDir dir;
  IdBatch batch;
  ASSERT_TRUE(Open(dir.Write("a.txt", "7\n18446744073709551615\n"))->Next(2, &batch).ok());
  EXPECT_THAT(batch.numbers, ElementsAre(7, UINT64_MAX));
  EXPECT_THAT(batch.strings, IsEmpty());
  ASSERT_TRUE(Open(dir.Write("b.txt", "x\n7\n"))->Next(2, &batch).ok());
  EXPECT_THAT(batch.strings, ElementsAre("x", "7"));
  EXPECT_THAT(batch.numbers, IsEmpty());
  ASSERT_TRUE(Open(dir.Write("c.txt", "7\nx\n"), IdKind::kString)->Next(2, &batch).ok());
  EXPECT_THAT(batch.strings, ElementsAre("7", "x"));
}

TEST(TextIds, TheFirstLineDecidesEvenIfItIsSkipped) {
  const TempDir dir;
  IdBatch batch;
  auto source = Open(dir.Write("a.txt", "x\n7\n"));
  ASSERT_TRUE(source->Skip(1).ok());
  ASSERT_TRUE(source->Next(1, &batch).ok());
  EXPECT_THAT(batch.strings, ElementsAre("7"));
  source = Open(dir.Write("b.txt", "7\nx\n"));
  ASSERT_TRUE(source->Skip(1).ok());
  EXPECT_THAT(MessageOf(source->Next(1, &batch)), HasSubstr("b.txt, line 2: not a number"));
}

TEST(TextIds, MustBeUtf8) {
  const TempDir dir;
  IdBatch batch;
  ASSERT_TRUE(Open(dir.Write("a.txt", "\"\\\t\xC3\xA9\xF0\x9F\x8E\xBB\n"))->Next(1, &batch).ok());
  EXPECT_THAT(batch.strings, ElementsAre("\"\\\t\xC3\xA9\xF0\x9F\x8E\xBB"));
  for (const char* wrong : {"\xFF", "\xC3", "\xC0\xAF", "\xED\xA0\x80"}) {
    EXPECT_THAT(
        MessageOf(Open(dir.Write("a.txt", std::string("x\ny") + wrong + "\n"))->Next(2, &batch)),
        HasSubstr("a.txt, line 2: the id is not valid UTF-8"));
  }
}

TEST(TextIds, NamesTheLineThatIsWrong) {
  const TempDir dir;
  IdBatch batch;
  EXPECT_THAT(MessageOf(Open(dir.Write("a.txt", "7\nx\n"))->Next(2, &batch)),
              HasSubstr("a.txt, line 2: not a number"));
  EXPECT_THAT(MessageOf(Open(dir.Write("a.txt", "7\n-1\n"))->Next(2, &batch)), HasSubstr("line 2"));
  EXPECT_THAT(MessageOf(Open(dir.Write("a.txt", "x\n\ny\n"))->Next(3, &batch)),
              HasSubstr("line 2: the id is empty"));
  EXPECT_THAT(MessageOf(Open(dir.Write("a.txt", "7\n8\n"))->Next(3, &batch)),
              HasSubstr("line 3: only 2 ids"));
  EXPECT_THAT(MessageOf(Open(dir.Write("a.txt", "7\n8\n"))->Skip(3)), HasSubstr("only 2 ids"));
  EXPECT_THAT(MessageOf(Open(dir.Write("a.txt", std::string(257, 'x')))->Next(1, &batch)),
              HasSubstr("line 1: longer than"));
}

TEST(TextIds, MustEndWithTheRows) {
  const TempDir dir;
  IdBatch batch;
  auto source = Open(dir.Write("a.txt", "7\n8\n\n"));
  ASSERT_TRUE(source->Next(2, &batch).ok());
  EXPECT_TRUE(source->ExpectEnd().ok());
  source = Open(dir.Write("a.txt", "7\n8\n"));
  ASSERT_TRUE(source->Next(1, &batch).ok());
  EXPECT_THAT(MessageOf(source->ExpectEnd()), HasSubstr("line 2: there are only 1 rows"));
}

TEST(NpyIds, ReadsEveryIntegerType) {
  const TempDir dir;
  const auto check = [&](const char* descr, const char* shape, const std::string& data) {
    IdBatch batch;
    const auto source = Open(dir.Write("ids.npy", NpyHeaderBytes(descr, shape) + data));
    ASSERT_TRUE(source->Next(2, &batch).ok());
    EXPECT_THAT(batch.numbers, ElementsAre(5, 70'000));
    EXPECT_TRUE(source->ExpectEnd().ok());
  };
  std::string i4, i8;
  Put<int32_t>(i4, 5);
  Put<int32_t>(i4, 70'000);
  Put<int64_t>(i8, 5);
  Put<int64_t>(i8, 70'000);
  check("<i4", "(2,)", i4);
  check("<u4", "(2,)", i4);
  check("<i8", "(2,)", i8);
  check("<u8", "(2, 1)", i8);
}

TEST(NpyIds, NamesTheRowThatIsNegative) {
  const TempDir dir;
  std::string data;
  for (const int64_t id : {3, 4, -5}) Put(data, id);
  const std::string header = NpyHeaderBytes("<i8", "(3,)");
  const auto source = Open(dir.Write("ids.npy", header + data));
  IdBatch batch;
  ASSERT_TRUE(source->Skip(1).ok());
  EXPECT_THAT(MessageOf(source->Next(2, &batch)),
              HasSubstr("ids.npy: row 2, byte " + std::to_string(header.size() + 16) +
                        ": the id is negative"));
}

TEST(NpyIds, RefusesWhatIsNotIds) {
  const TempDir dir;
  const auto error = [&](const char* descr, const char* shape) {
    const std::string bytes = NpyHeaderBytes(descr, shape) + std::string(16, '\0');
    return MessageOf(OpenIdFile(dir.Write("ids.npy", bytes), IdKind::kAuto).status());
  };
  EXPECT_THAT(error("<f8", "(2,)"), HasSubstr("not float64"));
  EXPECT_THAT(error("<i4", "(2, 2)"), HasSubstr("one a row, not 2"));
  EXPECT_THAT(MessageOf(OpenIdFile(dir.Path("ids.npy"), IdKind::kString).status()),
              HasSubstr("numbers, not strings"));
  EXPECT_EQ(OpenIdFile(dir.Path("absent.txt"), IdKind::kAuto).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(NpyIds, MustMatchTheRows) {
  const TempDir dir;
  const std::string path =
      dir.Write("ids.npy", NpyHeaderBytes("<i8", "(2,)") + std::string(16, '\0'));
  IdBatch batch;
  EXPECT_THAT(MessageOf(Open(path)->Next(3, &batch)), HasSubstr("only 2 ids"));
  EXPECT_THAT(MessageOf(Open(path)->Skip(3)), HasSubstr("only 2 ids"));
  const auto source = Open(path);
  ASSERT_TRUE(source->Next(1, &batch).ok());
  EXPECT_THAT(MessageOf(source->ExpectEnd()), HasSubstr("2 ids, but there are only 1 rows"));
}

}  // namespace
}  // namespace tessera::cli
