#include "client/cli/number_option.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The message of a command line that is refused; empty if it is not.
std::string Parse(CLI::App& app, std::vector<std::string> arguments) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(NumberOption, ReadsDecimalNumbers) {
  CLI::App app;
  uint64_t number = 0;
  std::optional<uint32_t> small;
  std::vector<uint64_t> list;
  AddNumber(&app, "--number", number, "");
  AddNumber(&app, "--small", small, "");
  AddNumbers(&app, "--list", list, "");
  EXPECT_EQ(Parse(app, {}), "");
  EXPECT_FALSE(small.has_value());
  EXPECT_EQ(Parse(app, {"--number", "010", "--small", "4294967295", "--list",
                        "7,018446744073709551615", "--list", "09"}),
            "");
  EXPECT_EQ(number, 10u);
  EXPECT_EQ(small, 4'294'967'295u);
  EXPECT_THAT(list, ElementsAre(7, UINT64_MAX, 9));
}

TEST(NumberOption, RefusesEverythingElse) {
  CLI::App app;
  uint64_t number = 0;
  std::optional<uint32_t> small;
  std::vector<uint64_t> list;
  AddNumber(&app, "--number", number, "", 2, 5);
  AddNumber(&app, "--small", small, "");
  AddNumbers(&app, "--list", list, "");
  for (const char* wrong : {"", "-1", "+1", "0x2", "2.0", " 2", "2 ", "1", "6", "two"}) {
    EXPECT_EQ(Parse(app, {"--number", wrong}),
              "--number: '" + std::string(wrong) + "' is not a decimal number from 2 to 5");
  }
  EXPECT_THAT(Parse(app, {"--small", "4294967296"}), HasSubstr("from 0 to 4294967295"));
  EXPECT_THAT(Parse(app, {"--list", "7,x"}), HasSubstr("'x' is not"));
  EXPECT_THAT(Parse(app, {"--list", "18446744073709551616"}),
              HasSubstr("from 0 to 18446744073709551615"));
}

}  // namespace
}  // namespace tessera::cli
