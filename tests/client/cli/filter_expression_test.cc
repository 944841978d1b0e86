#include "client/cli/filter_expression.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"

namespace tessera::cli {
namespace {

std::string Short(const std::string& text) {
  const auto filter = ParseFilter(text);
  EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
  if (!filter.ok()) return "";
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string out;
  printer.PrintToString(*filter, &out);
  return out.substr(0, out.find_last_not_of(' ') + 1);
}

TEST(FilterExpression, ReadsEachCondition) {
  const std::pair<const char*, const char*> cases[] = {
      {"category = \"animal\"", R"(must { key: "category" match { keyword: "animal" } })"},
      {"n = -3", R"(must { key: "n" match { integer: -3 } })"},
      {"n=1.5", R"(must { key: "n" range { gte: 1.5 lte: 1.5 } })"},
      {"n >= 2", R"(must { key: "n" range { gte: 2 } })"},
      {"ok = TRUE", R"(must { key: "ok" match { boolean: true } })"},
      {"a.b in ('x', \"y\\\"z\")",
       R"(must { key: "a.b" match { keywords { strings: "x" strings: "y\"z" } } })"},
      {"n in (1,2)", R"(must { key: "n" match { integers { integers: 1 integers: 2 } } })"},
      {"at < datetime \"2024-01-01\"", R"(must { key: "at" datetime_range { lt: "2024-01-01" } })"},
      {"word starts with \"vio\"", R"(must { key: "word" prefix: "vio" })"},
      {"word exists", R"(must { key: "word" exists: true })"},
      {"`is` is null", R"(must { key: "is" is_null: true })"},
      {"count(tags) > 2", R"(must { key: "tags" values_count { gt: 2 } })"},
      {"id(7, 8)", R"(must { has_id { num: 7 num: 8 } })"},
      {"n > 9007199254740993", R"(must { key: "n" integer_range { gt: 9007199254740993 } })"},
      {"n <= -9223372036854775808",
       R"(must { key: "n" integer_range { lte: -9223372036854775808 } })"},
      {"n < 1.8446744073709552e19", R"(must { key: "n" range { lt: 1.8446744073709552e+19 } })"},
      {"id(18446744073709551615)", R"(must { has_id { num: 18446744073709551615 } })"},
      {"id = 7", R"(must { key: "id" match { integer: 7 } })"}};
  for (const auto& [text, filter] : cases) EXPECT_EQ(Short(text), filter) << text;
}

TEST(FilterExpression, CombinesConditions) {
  EXPECT_EQ(Short("a = 1 and b = 2 or not c = 3"),
            R"(should { filter { must { key: "a" match { integer: 1 } } )"
            R"(must { key: "b" match { integer: 2 } } } } )"
            R"(should { filter { must_not { key: "c" match { integer: 3 } } } })");
  EXPECT_EQ(Short("a = 1 AND (b = 2 OR c = 3)"),
            R"(must { key: "a" match { integer: 1 } } )"
            R"(must { filter { should { key: "b" match { integer: 2 } } )"
            R"(should { key: "c" match { integer: 3 } } } })");
  EXPECT_EQ(Short("a != 1"), R"(must_not { key: "a" match { integer: 1 } })");
  EXPECT_EQ(Short("a not in (1)"), R"(must_not { key: "a" match { integers { integers: 1 } } })");
  EXPECT_EQ(Short("a is not empty"), R"(must_not { key: "a" is_empty: true })");
}

TEST(FilterExpression, SaysWhatIsWrongAndWhere) {
  const struct {
    const char* text;
    const char* place;
    const char* what;
  } cases[] = {{"", "character 1", "expected a field"},
               {"a", "character 2", "expected ="},
               {"a = ", "character 5", "expected a string"},
               {"a = b", "character 5", "expected a string"},
               {"a = \"b", "character 5", "closing quote"},
               {"a > \"b\"", "character 5", "not ordered"},
               {"a = 1 b = 2", "character 7", "expected 'and'"},
               {"(a = 1", "character 7", "expected ')'"},
               {"a in (1, \"b\")", "character 10", "a list holds"},
               {"a = 1e999", "character 5", "range"},
               {"a = 12x", "character 5", "no number"},
               {"a = 9223372036854775809", "character 5", "range of integers"},
               {"a >= -9223372036854775809", "character 6", "range of integers"},
               {"a in (18446744073709551615)", "character 7", "range of integers"},
               {"id(1.5)", "character 4", "expected an id"},
               {"id(18446744073709551616)", "character 4", "expected an id"},
               {"a ; b", "character 3", "no part of a filter"},
               {"((((((((a = 1))))))))", "character 9", "deeper than 8"}};
  for (const auto& c : cases) {
    const auto filter = ParseFilter(c.text);
    ASSERT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_TRUE(absl::StrContains(filter.status().message(), c.place)) << filter.status();
    EXPECT_TRUE(absl::StrContains(filter.status().message(), c.what)) << filter.status();
  }
}

}  // namespace
}  // namespace tessera::cli
