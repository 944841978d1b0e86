#include "server/config/log.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(LogTest, TextIsWordsAndNamedValues) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "it is ready",
                          {{"port", 6433}, {"seconds", 0.5}, {"path", "/data"}}),
            "it is ready port=6433 seconds=0.5 path=/data");
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "failed", {{"error", "a \"b\"\nlevel=error"}}),
            "failed error=\"a \\\"b\\\"\\u000alevel=error\"");
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "two\nlines", {}), "\"two\\u000alines\"");
}

TEST(LogTest, JsonEscapesWhatItHolds) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "say \"hi\"",
                          {{"port", 6433}, {"seconds", 0.5}, {"path", "C:\\x\t"}}),
            "\"message\":\"say \\\"hi\\\"\",\"port\":6433,\"seconds\":0.5,"
            "\"path\":\"C:\\\\x\\u0009\"");
}

}  // namespace
}  // namespace tessera
