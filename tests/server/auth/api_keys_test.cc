#include "server/auth/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kReader[] = "reader-0123456789";
constexpr char kWriter[] = "writer-0123456789";

std::string Message(const std::string& text) {
  const auto keys = ApiKeys::Parse(text);
  EXPECT_EQ(keys.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(keys.status().message());
}

TEST(ApiKeysTest, FindsWhatEachMayDo) {
  const auto keys =
      ApiKeys::Parse(absl::StrCat("# who\n\n  read\t", kReader, "  \r\nwrite ", kWriter, "\n"));
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->size(), 2u);
  EXPECT_EQ(keys->Find(kReader), Access::kRead);
  EXPECT_EQ(keys->Find(kWriter), Access::kWrite);
  EXPECT_EQ(keys->Find(""), Access::kNone);
  EXPECT_EQ(keys->Find("read"), Access::kNone);
  EXPECT_EQ(keys->Find(absl::StrCat(kReader, "0")), Access::kNone);
  EXPECT_EQ(keys->Find(std::string(kReader).substr(1)), Access::kNone);
  EXPECT_EQ(keys->Find(std::string(100'000, 'x')), Access::kNone);
}

TEST(ApiKeysTest, TakesTheLastLineWithoutItsEnd) {
  const auto keys = ApiKeys::Parse(absl::StrCat("write ", kWriter));
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->Find(kWriter), Access::kWrite);
}

TEST(ApiKeysTest, RefusesOtherLinesByNumberAndTellsNoKey) {
  EXPECT_THAT(Message(""), HasSubstr("no key"));
  EXPECT_THAT(Message("# nothing\n"), HasSubstr("no key"));
  for (const std::string& line : std::vector<std::string>{
           std::string(kWriter), absl::StrCat("admin ", kWriter), std::string("read"),
           std::string("write short"), absl::StrCat("read ", kWriter, " ", kReader),
           absl::StrCat("read ", kWriter, "\x7f"), absl::StrCat("read ", kWriter, "\xc3\xa9"),
           absl::StrCat("Read ", kWriter), absl::StrCat("read ", std::string(257, 'x'))}) {
    const std::string message = Message(absl::StrCat("read ", kReader, "\n", line, "\n"));
    EXPECT_THAT(message, HasSubstr("line 2")) << line;
    EXPECT_THAT(message, Not(HasSubstr(kWriter)));
  }
  EXPECT_THAT(Message(absl::StrCat("read ", kReader, "\n#\nwrite ", kReader)),
              HasSubstr("line 3: the key stands there twice"));
}

TEST(ApiKeysTest, HasALimit) {
  std::string text;
  for (size_t i = 0; i < limits::kApiKeysMax; ++i) {
    absl::StrAppend(&text, "read 0123456789abcdef-", i, "\n");
  }
  EXPECT_TRUE(ApiKeys::Parse(text).ok());
  EXPECT_THAT(Message(absl::StrCat(text, "read ", kReader)), HasSubstr("more than 1000 keys"));
}

TEST(ApiKeysTest, KnowsTheBoundsOfAKey) {
  EXPECT_FALSE(IsApiKey(std::string(limits::kApiKeyBytesMin - 1, 'x')));
  EXPECT_TRUE(IsApiKey(std::string(limits::kApiKeyBytesMin, 'x')));
  EXPECT_TRUE(IsApiKey(std::string(limits::kApiKeyBytesMax, '~')));
  EXPECT_FALSE(IsApiKey(std::string(limits::kApiKeyBytesMax + 1, 'x')));
  EXPECT_FALSE(IsApiKey(std::string(limits::kApiKeyBytesMin, ' ')));
}

}  // namespace
}  // namespace tessera
