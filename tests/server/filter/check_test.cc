#include "server/filter/check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "index/base/limits.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

std::string FieldAtFault(Filter filter) {
  const auto violation = CheckFilter(&filter);
  return violation.has_value() ? violation->field : "";
}

Filter Nested(size_t depth) {
  Filter filter = Must(Where("a", Keywords({"x"})));
  for (size_t i = 1; i < depth; ++i) filter = Must({std::move(filter)});
  return filter;
}

TEST(CheckFilter, NamesTheFieldAtFault) {
  const Condition good = Where("a", Keywords({"x"}));
  EXPECT_EQ(FieldAtFault(Filter{.must = {good, good, Where("a", NumberRange{{.gte = NAN}})}}),
            "must[2].range.gte");
  EXPECT_EQ(FieldAtFault(Filter{.should = {Where("a", NumberRange{})}}), "should[0].range");
  EXPECT_EQ(FieldAtFault(Filter{.must_not = {Where("a", Match{})}}), "must_not[0].match");
  EXPECT_EQ(FieldAtFault(Must(Where("", Presence::kExists))), "must[0].key");
  EXPECT_EQ(FieldAtFault(Must(Where("a..b", Presence::kExists))), "must[0].key");
  EXPECT_EQ(
      FieldAtFault(Must(Where(std::string(limits::kFieldPathBytesMax + 1, 'a'), Prefix{"x"}))),
      "must[0].key");
  EXPECT_EQ(FieldAtFault(Must(Where("a", Prefix{}))), "must[0].prefix");
  EXPECT_EQ(FieldAtFault(Must({Filter{.should = {good, Where("a", DatetimeRange{})}}})),
            "must[0].filter.should[1].datetime_range");
}

TEST(CheckFilter, TellsWhetherAnythingIsTested) {
  const Condition nothing = {Filter{.should = {{Filter{}}}}};
  const Condition something = {Filter{.must_not = {Where("a", Presence::kExists)}}};
  EXPECT_TRUE(TestsNothing(Filter{}));
  EXPECT_TRUE(TestsNothing(Filter{.must = {nothing, nothing}, .must_not = {nothing}}));
  EXPECT_FALSE(TestsNothing(Filter{.must = {nothing}, .should = {nothing, something}}));
  EXPECT_FALSE(TestsNothing(Must({HasId{{FilterId(uint64_t{1})}}})));
}

TEST(CheckFilter, HoldsToItsLimits) {
  EXPECT_EQ(FieldAtFault(Nested(limits::kFilterDepthMax)), "");
  EXPECT_NE(FieldAtFault(Nested(limits::kFilterDepthMax + 1)), "");

  Filter many;
  many.should.assign(limits::kFilterConditionsMax, Where("a", Presence::kExists));
  EXPECT_EQ(FieldAtFault(many), "");
  many.must_not.push_back(Where("a", Presence::kExists));
  EXPECT_EQ(FieldAtFault(many), "must_not[0]");

  std::vector<int64_t> values(limits::kFilterValuesMax);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i);
  EXPECT_EQ(FieldAtFault(Must(Where("a", Integers(values)))), "");
  values.push_back(-1);
  EXPECT_EQ(FieldAtFault(Must(Where("a", Integers(values)))), "must[0].match");
}

}  // namespace
}  // namespace tessera
