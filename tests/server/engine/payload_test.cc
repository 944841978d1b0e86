#include "server/engine/payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "index/base/limits.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Message(std::string_view json) {
  const absl::Status status = ValidatePayload(json);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(status.message());
}

std::string Nested(size_t depth) {
  std::string json;
  for (size_t i = 0; i < depth; ++i) json += R"({"a":)";
  json += "1";
  return json + std::string(depth, '}');
}

TEST(PayloadTest, AcceptsObjects) {
  for (const char* json :
       {"{}", " {\"a\": 1}\n", R"({"a":[1,2.5,-3e7,true,false,null,"x"],"b":{"c":[]}})",
        R"({"\u00e9\n\"\\":"\ud83d\ude00"})", "{\"word\":\"\xC3\xA9t\xC3\xA9 \xF0\x9F\x98\x80\"}",
        R"({"n":18446744073709551615,"m":-9223372036854775808,"big":123456789012345678901234})"}) {
    EXPECT_EQ(ValidatePayload(json), absl::OkStatus()) << json;
  }
}

TEST(PayloadTest, AcceptsEveryPayloadOfTheRealData) {
  std::ifstream file(TESSERA_TEST_DATA_DIR "/wordnet/payload.jsonl");
  std::string line;
  size_t lines = 0;
  for (; std::getline(file, line); ++lines) {
    ASSERT_EQ(ValidatePayload(line), absl::OkStatus()) << "line " << lines;
  }
  EXPECT_EQ(lines, 25'000u);
}

TEST(PayloadTest, RefusesEveryTruncationOfAnObject) {
  const std::string json = R"({"a":[1,{"b":"x\u00e9"}],"c":-2.5e3})";
  ASSERT_EQ(ValidatePayload(json), absl::OkStatus());
  for (size_t size = 0; size < json.size(); ++size) {
    EXPECT_THAT(Message(json.substr(0, size)), StartsWith("byte ")) << size;
  }
}

TEST(PayloadTest, NamesTheByte) {
  EXPECT_EQ(Message(R"({"a":1,})"), "byte 7: syntax error in JSON");
  EXPECT_EQ(Message(R"({"a":1} x)"), "byte 8: syntax error in JSON");
  EXPECT_EQ(Message(R"({"a":1)"), "byte 6: syntax error in JSON");
  EXPECT_EQ(Message(""), "byte 0: syntax error in JSON");
  EXPECT_EQ(Message("{'a':1}"), "byte 1: syntax error in JSON");
}

TEST(PayloadTest, RefusesWhatIsNoObject) {
  for (const char* json : {"1", "\"text\"", "null", "true", "[]", "[{}]", "-1.5"}) {
    EXPECT_EQ(Message(json), "must be a JSON object") << json;
  }
  EXPECT_THAT(Message("{}{}"), StartsWith("byte 2"));
}

TEST(PayloadTest, RefusesZeroBytesAndByteOrderMarks) {
  EXPECT_EQ(Message(std::string_view("{}\0garbage", 10)), "byte 2: syntax error in JSON");
  EXPECT_EQ(Message(std::string_view("{\"a\":\"\0\"}", 9)), "byte 6: syntax error in JSON");
  EXPECT_EQ(Message("\xEF\xBB\xBF{}"), "byte 0: syntax error in JSON");
}

TEST(PayloadTest, RefusesInvalidUtf8WithoutQuotingIt) {
  for (const char* bytes :
       {"\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82"}) {
    const std::string message = Message("{\"a\":\"" + std::string(bytes) + "\"}");
    EXPECT_THAT(message, HasSubstr("invalid UTF-8"));
    for (char c : message) EXPECT_GE(c, ' ');
  }
  EXPECT_THAT(Message(R"({"a":"\ud800"})"), StartsWith("byte "));
}

TEST(PayloadTest, RefusesNumbersBeyondADouble) {
  EXPECT_THAT(Message(R"({"a":1e999})"), HasSubstr("out of the range"));
  EXPECT_THAT(Message(R"({"a":NaN})"), StartsWith("byte 5"));
}

TEST(PayloadTest, DepthLimitIsExactAndNamesTheByte) {
  EXPECT_EQ(ValidatePayload(Nested(limits::kPayloadDepthMax)), absl::OkStatus());
  const std::string message = Message(Nested(limits::kPayloadDepthMax + 1));
  EXPECT_THAT(message, StartsWith("byte " + std::to_string(5 * limits::kPayloadDepthMax) + ":"));
  EXPECT_THAT(message, HasSubstr("16 levels"));
  // Brackets inside strings are no nesting.
  EXPECT_EQ(ValidatePayload(R"({"a":"[[[[[[[[[[[[[[[[[[[[[[\"[[[["})"), absl::OkStatus());
  EXPECT_THAT(Message(R"({"\"[[[[":)" + std::string(20, '[')), StartsWith("byte 25:"));
}

TEST(PayloadTest, DepthBombIsCheap) {
  const std::string bomb = R"({"a":)" + std::string(limits::kPayloadBytesMax - 5, '[');
  EXPECT_THAT(Message(bomb), HasSubstr("nested deeper"));
}

TEST(PayloadTest, SizeLimitIsExact) {
  const std::string head = R"({"a":")";
  const std::string tail = R"("})";
  const size_t fill = limits::kPayloadBytesMax - head.size() - tail.size();
  EXPECT_EQ(ValidatePayload(head + std::string(fill, 'x') + tail), absl::OkStatus());
  EXPECT_EQ(Message(head + std::string(fill + 1, 'x') + tail),
            "is 65537 bytes long; the limit is 65536");
}

}  // namespace
}  // namespace tessera
