#include "client/cli/files/payload_source.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;

class PayloadSourceTest : public ::testing::Test {
 protected:
  std::unique_ptr<PayloadSource> Open(const std::string& bytes) {
    auto source = PayloadSource::Open(dir_.Write("payload.jsonl", bytes));
    EXPECT_TRUE(source.ok()) << source.status();
    return *std::move(source);
  }

  // Of the first line that fails.
  std::string ErrorOf(const std::string& bytes) {
    const auto source = Open(bytes);
    std::string payload;
    absl::Status status;
    while (status.ok()) status = source->Next(&payload);
    return std::string(status.message());
  }

  const TempDir dir_;
};

TEST_F(PayloadSourceTest, ReadsObjectsAndBlankLines) {
  const auto source = Open("{\"a\": 1}\n\n  {\"b\": [\"\xC3\xA9\"]} \r\n   \n{}");
  std::string payload;
  for (const char* expected : {"{\"a\": 1}", "", "{\"b\": [\"\xC3\xA9\"]}", "", "{}"}) {
    ASSERT_TRUE(source->Next(&payload).ok());
    EXPECT_EQ(payload, expected);
  }
  EXPECT_TRUE(source->ExpectEnd().ok());
}

TEST_F(PayloadSourceTest, NamesTheLineThatIsWrong) {
  EXPECT_THAT(ErrorOf("{}\n[1]\n"), HasSubstr("payload.jsonl, line 2: not a JSON object"));
  EXPECT_THAT(ErrorOf("{}\n{}\n{\"a\": }\n"), HasSubstr("line 3: not a JSON object"));
  EXPECT_THAT(ErrorOf("{} {}\n"), HasSubstr("line 1"));
  EXPECT_THAT(ErrorOf("\"text\"\n"), HasSubstr("line 1"));
  EXPECT_THAT(ErrorOf("{}\n{\"a\":\"" + std::string(limits::kPayloadBytesMax, 'x') + "\"}\n"),
              HasSubstr("line 2: longer than the limit"));
  EXPECT_THAT(ErrorOf("{\"a\": \"\xFF\"}"), HasSubstr("line 1"));
}

TEST_F(PayloadSourceTest, DeepNestingDoesNotExhaustTheStack) {
  EXPECT_THAT(ErrorOf("{\"a\":" + std::string(60'000, '[')), HasSubstr("line 1"));
}

TEST_F(PayloadSourceTest, MustHaveALineForEveryRow) {
  EXPECT_THAT(ErrorOf("{}\n{}\n"), HasSubstr("payload.jsonl, line 3: the file ends after 2 lines"));
  EXPECT_THAT(std::string(Open("{}\n")->Skip(2).message()), HasSubstr("line 2"));
}

TEST_F(PayloadSourceTest, MustEndWithTheRows) {
  auto source = Open("{}\n{}\n\n{}\n");
  ASSERT_TRUE(source->Skip(2).ok());
  EXPECT_THAT(std::string(source->ExpectEnd().message()),
              HasSubstr("payload.jsonl, line 4: there are only 2 rows"));
  source = Open("{}\n{}\n\n\n");
  ASSERT_TRUE(source->Skip(2).ok());
  EXPECT_TRUE(source->ExpectEnd().ok());
}

}  // namespace
}  // namespace tessera::cli
