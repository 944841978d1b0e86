#include "server/filter/evaluate.h"

#include <gtest/gtest.h>

#include "server/filter/check.h"
#include "server/filter/datetime.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

bool Holds(Filter filter, const std::string& payload, FilterIdView id = uint64_t{7}) {
  const auto violation = CheckFilter(&filter);
  EXPECT_FALSE(violation.has_value()) << violation->field << ": " << violation->description;
  return MatchesText(filter, id, payload);
}
bool Holds(const std::string& key, FieldTest test, const std::string& payload) {
  return Holds(Must(Where(key, std::move(test))), payload);
}

constexpr char kPoint[] =
    R"({"word":"violin","senses":3,"weight":0.5,"old":true,"none":null,"empty":[],
        "tags":["string","wood"],"at":"2024-02-29T12:00:00+01:00",
        "maker":{"name":"Amati","town":{"name":"Cremona"}},
        "parts":[{"name":"neck","grams":60},{"name":"bow","grams":70.5}],"mixed":[1,null,"x"]})";

TEST(Evaluate, MatchesValuesOfTheirOwnType) {
  EXPECT_TRUE(Holds("word", Keywords({"cello", "violin"}), kPoint));
  EXPECT_FALSE(Holds("word", Keywords({"cello"}), kPoint));
  EXPECT_TRUE(Holds("senses", Integers({3}), kPoint));
  EXPECT_FALSE(Holds("senses", Keywords({"3"}), kPoint));
  EXPECT_FALSE(Holds("weight", Integers({0}), kPoint));
  EXPECT_TRUE(Holds("old", Bool(true), kPoint));
  EXPECT_FALSE(Holds("old", Bool(false), kPoint));
  EXPECT_FALSE(Holds("big", Integers({-1}), R"({"big":18446744073709551615})"));
}

TEST(Evaluate, ExceptAsksForAValueThatIsNotListed) {
  EXPECT_TRUE(Holds("word", Keywords({"cello"}, true), kPoint));
  EXPECT_FALSE(Holds("word", Keywords({"violin"}, true), kPoint));
  EXPECT_TRUE(Holds("tags", Keywords({"wood"}, true), kPoint)) << "string is not listed";
  EXPECT_FALSE(Holds("missing", Keywords({"cello"}, true), kPoint));
  EXPECT_FALSE(Holds("senses", Keywords({"cello"}, true), kPoint)) << "a number is no keyword";
}

TEST(Evaluate, ComparesNumbersAndTimes) {
  EXPECT_TRUE(Holds("senses", NumberRange{{.lte = 3, .gt = 2}}, kPoint));
  EXPECT_FALSE(Holds("senses", NumberRange{{.lt = 3}}, kPoint));
  EXPECT_TRUE(Holds("weight", NumberRange{{.lt = 1, .gte = 0.5}}, kPoint));
  EXPECT_FALSE(Holds("word", NumberRange{{.gte = 0}}, kPoint));
  const int64_t noon = *ParseDatetime("2024-02-29T11:00:00Z");
  EXPECT_TRUE(Holds("at", DatetimeRange{{.lte = noon, .gte = noon}}, kPoint));
  EXPECT_FALSE(Holds("at", DatetimeRange{{.gt = noon}}, kPoint));
  EXPECT_FALSE(Holds("word", DatetimeRange{{.gt = 0}}, kPoint));
}

// A double has no place for each integer beyond 2^53.
TEST(Evaluate, ComparesLargeIntegersExactly) {
  constexpr int64_t kLarge = (int64_t{1} << 53) + 1;
  const std::string payload = R"({"n":9007199254740993})";
  EXPECT_FALSE(Holds("n", NumberRange{{.lte = kLarge - 1}}, payload));
  EXPECT_TRUE(Holds("n", NumberRange{{.gt = kLarge - 1}}, payload));
  EXPECT_TRUE(Holds("n", NumberRange{{.lte = kLarge, .gte = kLarge}}, payload));
  EXPECT_FALSE(Holds("n", NumberRange{{.gt = kLarge}}, payload));
  const std::string negative = R"({"n":-9007199254740993})";
  EXPECT_TRUE(Holds("n", NumberRange{{.lt = -kLarge + 1}}, negative));
  EXPECT_FALSE(Holds("n", NumberRange{{.lt = -kLarge}}, negative));
  constexpr Number kEnd = 9223372036854775808.0L;  // one more than the largest of 64 bits
  EXPECT_FALSE(Holds("n", NumberRange{{.gte = kEnd}}, R"({"n":9223372036854775807})"));
  EXPECT_TRUE(Holds("n", NumberRange{{.gte = kEnd}}, R"({"n":9223372036854775808})"));
  EXPECT_TRUE(Holds("n", NumberRange{{.gt = 2 * kEnd - 2}}, R"({"n":18446744073709551615})"));
  EXPECT_TRUE(Holds("n", NumberRange{{.lte = -kEnd}}, R"({"n":-9223372036854775808})"));
  EXPECT_TRUE(Holds("n", NumberRange{{.lte = 0, .gte = 0}}, R"({"n":-0.0})"));
}

TEST(Evaluate, WalksObjectsAndArrays) {
  EXPECT_TRUE(Holds("maker.town.name", Keywords({"Cremona"}), kPoint));
  EXPECT_TRUE(Holds("parts.name", Keywords({"bow"}), kPoint));
  EXPECT_TRUE(Holds("parts[].grams", NumberRange{{.gt = 70}}, kPoint));
  EXPECT_FALSE(Holds("parts.grams", NumberRange{{.gt = 71}}, kPoint));
  EXPECT_FALSE(Holds("word.name", Keywords({"violin"}), kPoint));
  EXPECT_TRUE(Holds("tags", Prefix{"str"}, kPoint));
  EXPECT_FALSE(Holds("tags", Prefix{"tring"}, kPoint));
}

TEST(Evaluate, TellsMissingFromNullFromEmpty) {
  const struct {
    const char* key;
    bool exists, is_null, is_empty;
    uint64_t values;
  } cases[] = {{"word", true, false, false, 1},  {"none", true, true, true, 0},
               {"empty", true, false, true, 0},  {"missing", false, false, true, 0},
               {"mixed", true, true, false, 2},  {"tags", true, false, false, 2},
               {"maker", true, false, false, 1}, {"parts.name", true, false, false, 2}};
  for (const auto& c : cases) {
    EXPECT_EQ(Holds(c.key, Presence::kExists, kPoint), c.exists) << c.key;
    EXPECT_EQ(Holds(c.key, Presence::kIsNull, kPoint), c.is_null) << c.key;
    EXPECT_EQ(Holds(c.key, Presence::kIsEmpty, kPoint), c.is_empty) << c.key;
    EXPECT_TRUE(Holds(c.key, ValuesCount{{.lte = c.values, .gte = c.values}}, kPoint)) << c.key;
  }
  EXPECT_TRUE(Holds("word", Presence::kIsEmpty, "")) << "a point without payload";
}

TEST(Evaluate, CombinesConditions) {
  const Condition yes = Where("word", Keywords({"violin"}));
  const Condition no = Where("word", Keywords({"cello"}));
  EXPECT_TRUE(Holds(Filter{}, kPoint));
  EXPECT_TRUE(Holds(Filter{.must = {yes, yes}}, kPoint));
  EXPECT_FALSE(Holds(Filter{.must = {yes, no}}, kPoint));
  EXPECT_TRUE(Holds(Filter{.should = {no, yes}}, kPoint));
  EXPECT_FALSE(Holds(Filter{.must = {yes}, .should = {no}}, kPoint));
  EXPECT_FALSE(Holds(Filter{.must_not = {no, yes}}, kPoint));
  EXPECT_TRUE(Holds(Filter{.must = {{Filter{.should = {no, yes}}}}, .must_not = {no}}, kPoint));
}

TEST(Evaluate, KnowsIds) {
  const Filter ids = Must({HasId{{FilterId(uint64_t{7}), FilterId(std::string("seven"))}}});
  EXPECT_TRUE(Holds(ids, kPoint, uint64_t{7}));
  EXPECT_TRUE(Holds(ids, kPoint, std::string_view("seven")));
  EXPECT_FALSE(Holds(ids, kPoint, std::string_view("7")));
}

TEST(Datetime, TakesRfc3339AndDates) {
  EXPECT_EQ(ParseDatetime("1970-01-01T00:00:01Z"), 1'000'000);
  EXPECT_EQ(ParseDatetime("1970-01-01t00:00:00.25+00:00"), 250'000);
  EXPECT_EQ(ParseDatetime("1970-01-02"), 86'400'000'000);
  EXPECT_EQ(ParseDatetime("1969-12-31T23:59:59Z"), -1'000'000);
  EXPECT_EQ(ParseDatetime("1970-01-01T05:30:00.000001999+05:30"), 1);
  EXPECT_EQ(ParseDatetime("1969-12-31T20:00:00-04:00"), 0);
  for (const char* bad : {"", "infinite-future", "1970-1-1", " 1970-01-01", "1970-02-30",
                          "1970-01-01 ", "1970-01-01T00:00:00", "violin", "1970-01-01T25:00:00Z"}) {
    EXPECT_EQ(ParseDatetime(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace tessera
