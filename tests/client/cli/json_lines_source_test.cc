#include <string>

#include "client/cli/point_source.h"
#include "client/cpp/vectors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JsonLinesSourceTest : public ::testing::Test {
 protected:
  std::unique_ptr<PointSource> Open(std::string_view text) {
    auto source = OpenJsonLines(dir_.Write("p.jsonl", text), {});
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? *std::move(source) : nullptr;
  }

  // Of the file that cannot be opened, or else of its points, which are read to the first error.
  std::string MessageOf(std::string_view text) {
    const auto source = OpenJsonLines(dir_.Write("p.jsonl", text), {});
    if (!source.ok()) return std::string(source.status().message());
    while (true) {
      const auto rows = (*source)->Next(1, &request_);
      if (!rows.ok()) return std::string(rows.status().message());
      if (*rows == 0) return "";
    }
  }

  // The next points, in an empty request.
  uint64_t Next(PointSource& source, uint64_t rows_max) {
    request_.Clear();
    const auto rows = source.Next(rows_max, &request_);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.value_or(0);
  }

  const TempDir dir_;
  v1::UpsertRequest request_;
};

TEST_F(JsonLinesSourceTest, GivesALineForEachRow) {
  const auto source = Open(
      "{\"id\":7,\"vector\":[1,2],\"a\":1}\r\n\n{\"id\":8,\"vector\":[3,4]}\n  \n"
      "{\"id\":9,\"vector\":[5,6],\"a\":2}");
  EXPECT_EQ(source->rows(), 3u);
  EXPECT_EQ(source->dimension(), 2u);
  EXPECT_EQ(Next(*source, 2), 2u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(7, 8));
  EXPECT_THAT(*ToFloats(request_.vectors()), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(request_.payloads(), ElementsAre("{\"a\":1}", ""));
  EXPECT_EQ(Next(*source, 2), 1u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(9));
  EXPECT_EQ(Next(*source, 2), 0u);
}

TEST_F(JsonLinesSourceTest, NumbersTheRowsOfPointsWithoutIds) {
  const auto source = Open("{\"vector\":[1]}\n\n{\"vector\":[2]}\n{\"vector\":[3]}\n");
  EXPECT_TRUE(source->Skip(1).ok());
  EXPECT_EQ(Next(*source, 10), 2u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(1, 2));
  EXPECT_THAT(*ToFloats(request_.vectors()), ElementsAre(2, 3));
  EXPECT_EQ(request_.payloads_size(), 0);
}

TEST_F(JsonLinesSourceTest, EndsARequestWhereTheKindOfIdsChanges) {
  const auto source = Open(
      "{\"id\":1,\"vector\":[1]}\n{\"id\":\"b\",\"vector\":[2]}\n{\"id\":\"c\",\"vector\":[3]}\n");
  EXPECT_EQ(Next(*source, 10), 1u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(1));
  EXPECT_EQ(Next(*source, 10), 2u);
  EXPECT_THAT(request_.ids().str(), ElementsAre("b", "c"));
  EXPECT_THAT(*ToFloats(request_.vectors()), ElementsAre(2, 3));
}

TEST_F(JsonLinesSourceTest, BoundsTheBytesOfARequest) {
  std::string text;
  const std::string filler(60'000, 'x');
  for (int i = 0; i < 300; ++i) text += "{\"vector\":[1],\"a\":\"" + filler + "\"}\n";
  const auto source = Open(text);
  uint64_t rows = 0;
  while (const uint64_t some = Next(*source, 1000)) {
    EXPECT_LE(request_.ByteSizeLong(), limits::kFileChunkBytesMax + 2 * filler.size());
    rows += some;
  }
  EXPECT_EQ(rows, 300u);
}

TEST_F(JsonLinesSourceTest, NamesTheLineThatIsWrong) {
  EXPECT_THAT(MessageOf("\n \n"), HasSubstr("p.jsonl: the file has no lines"));
  EXPECT_THAT(MessageOf("\n{\"vector\":1}"),
              HasSubstr("p.jsonl, line 2: \"vector\": not an array"));
  EXPECT_THAT(MessageOf("{\"vector\":[1]}\n{}\n"),
              HasSubstr("p.jsonl, line 2: \"vector\": is missing"));
  EXPECT_THAT(MessageOf("{\"vector\":[1]}\n\n{\"vector\":[1,2]}"),
              HasSubstr("line 3: a vector of dimension 2, but the first line's has 1"));
  EXPECT_THAT(MessageOf("{\"vector\":[1]}\n{\"vector\":[1],\"id\":2}"),
              HasSubstr("line 2: there is an id, but the first line has none"));
  EXPECT_THAT(MessageOf("{\"vector\":[1],\"id\":1}\n{\"vector\":[1]}"),
              HasSubstr("line 2: there is no id, but the first line has one"));
  EXPECT_THAT(MessageOf("{\"vector\":[1]}\n" + std::string(limits::kJsonLineBytesMax + 1, ' ')),
              HasSubstr("line 2: longer than the limit"));
  EXPECT_EQ(OpenJsonLines(dir_.Path("absent.jsonl"), {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Open("{\"vector\":[1]}\n")->Skip(2).code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace tessera::cli
