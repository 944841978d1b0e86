#include "client/cli/files/json_point.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

JsonPoint Parsed(std::string_view line, const JsonPointFields& fields = {}) {
  JsonPoint point;
  const absl::Status status = JsonPointParser(fields).Parse(line, &point);
  EXPECT_TRUE(status.ok()) << line << ": " << status;
  return point;
}

std::string Refused(std::string_view line, const JsonPointFields& fields = {}) {
  JsonPoint point;
  const absl::Status status = JsonPointParser(fields).Parse(line, &point);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
  return std::string(status.message());
}

TEST(JsonPointParser, ReadsIdVectorAndPayload) {
  const JsonPoint point = Parsed(R"( {"id": 7, "vector": [1, -2.5, 3e-4], "payload": {"a": 1}} )");
  EXPECT_EQ(std::get<uint64_t>(*point.id), 7u);
  EXPECT_THAT(point.vector, ElementsAre(1.0f, -2.5f, 3e-4f));
  EXPECT_EQ(point.payload, R"({"a":1})");
  EXPECT_EQ(std::get<uint64_t>(*Parsed(R"({"id":18446744073709551615,"vector":[1]})").id),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(std::get<std::string>(*Parsed(R"({"vector":[1],"id":"\u00e9\n"})").id), "\xC3\xA9\n");
  EXPECT_FALSE(Parsed(R"({"vector":[1]})").id.has_value());
}

TEST(JsonPointParser, FindsTheVectorUnderItsUsualNames) {
  EXPECT_THAT(Parsed(R"({"embedding":[2]})").vector, ElementsAre(2.0f));
  EXPECT_THAT(Parsed(R"({"values":[3]})").vector, ElementsAre(3.0f));
  const JsonPoint named = Parsed(R"({"emb":[4],"vector":[1],"key":5})", {"key", "emb"});
  EXPECT_THAT(named.vector, ElementsAre(4.0f));
  EXPECT_EQ(std::get<uint64_t>(*named.id), 5u);
  EXPECT_EQ(named.payload, R"({"vector":[1]})");
}

TEST(JsonPointParser, TakesAllOtherMembersTogetherAsPayload) {
  EXPECT_EQ(Parsed(R"({"vector":[1],"metadata":{"a":1}})").payload, R"({"a":1})");
  EXPECT_EQ(Parsed(R"({"vector":[1],"payload":null})").payload, "");
  EXPECT_EQ(Parsed(R"({"vector":[1]})").payload, "");
  EXPECT_EQ(Parsed(R"({"vector":[1],"payload":3})").payload, R"({"payload":3})");
  EXPECT_EQ(Parsed(R"({"text":"a \"b\"","vector":[1],"metadata":{"n":[1.5,true]}})").payload,
            R"({"text":"a \"b\"","metadata":{"n":[1.5,true]}})");
  EXPECT_EQ(Parsed(R"({"a\"b":1,"vector":[1]})").payload, R"({"a\"b":1})");
}

TEST(JsonPointParser, RefusesAnythingElse) {
  EXPECT_THAT(Refused(""), HasSubstr("not a JSON object"));
  EXPECT_THAT(Refused("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(Refused(R"({"vector":[1]} x)"), HasSubstr("not a JSON object"));
  EXPECT_THAT(Refused(R"({"vector":[1],"a":tru})"), HasSubstr("not a JSON object"));
  EXPECT_THAT(Refused(R"({"id":1})"), HasSubstr("\"vector\": is missing"));
  EXPECT_THAT(Refused(R"({"vector":[1]})", {"id", "emb"}), HasSubstr("\"emb\": is missing"));
  EXPECT_THAT(Refused(R"({"vector":[]})"), HasSubstr("has no components"));
  EXPECT_THAT(Refused(R"({"vector":"1,2"})"), HasSubstr("not an array of numbers"));
  EXPECT_THAT(Refused(R"({"vector":[1,null]})"), HasSubstr("component 1 is not a number"));
  EXPECT_THAT(Refused(R"({"vector":[1,2,1e39]})"), HasSubstr("component 2 is too large"));
  EXPECT_THAT(Refused(R"({"vector":[1],"vector":[2]})"), HasSubstr("\"vector\": comes twice"));
  EXPECT_THAT(Refused(R"({"id":1,"vector":[1],"id":2})"), HasSubstr("\"id\": comes twice"));
  for (const char* id : {"-1", "1.5", "null", "[1]", "true"}) {
    EXPECT_THAT(Refused(R"({"vector":[1],"id":)" + std::string(id) + "}"), HasSubstr("\"id\":"));
  }
}

TEST(JsonPointParser, HoldsTheLimits) {
  std::string components = "0";
  for (size_t i = 1; i < limits::kDimensionMax; ++i) components += ",0";
  EXPECT_EQ(Parsed("{\"vector\":[" + components + "]}").vector.size(), limits::kDimensionMax);
  EXPECT_THAT(Refused("{\"vector\":[" + components + ",0]}"), HasSubstr("more than 32768"));
  // {"a":"..."} is eight bytes longer than its text.
  const std::string text(limits::kPayloadBytesMax - 8, 'x');
  EXPECT_EQ(Parsed(R"({"vector":[1],"a":")" + text + "\"}").payload.size(),
            limits::kPayloadBytesMax);
  EXPECT_THAT(Refused(R"({"vector":[1],"a":")" + text + "x\"}"), HasSubstr("a payload of 65537"));
}

}  // namespace
}  // namespace tessera::cli
