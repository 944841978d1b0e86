#include "server/filter/fingerprint.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "server/filter/check.h"
#include "tests/server/filter/random_filters.h"

namespace tessera {
namespace {

TEST(FilterFingerprint, TellsFiltersApart) {
  RandomFilters random(3);
  std::map<uint32_t, Filter> seen;
  for (int i = 0; i < 20'000; ++i) {
    Filter filter = random.MakeFilter(2);
    ASSERT_FALSE(CheckFilter(&filter).has_value());
    const uint32_t fingerprint = FilterFingerprint(filter);
    EXPECT_EQ(fingerprint == 0, filter.empty());
    const auto [it, added] = seen.try_emplace(fingerprint, filter);
    EXPECT_EQ(it->second, filter) << i;
  }
  EXPECT_GT(seen.size(), 15'000u);
}

TEST(FilterFingerprint, IsTheSameForFiltersThatAreEqual) {
  const auto of = [](Filter filter) {
    EXPECT_FALSE(CheckFilter(&filter).has_value());
    return FilterFingerprint(filter);
  };
  EXPECT_EQ(of(Must(Where("a", Keywords({"x", "y", "x"})))),
            of(Must(Where("a", Keywords({"y", "x"})))));
  EXPECT_EQ(of(Must(Where("a[].b", NumberRange{{.lt = 0.0L}}))),
            of(Must(Where("a.b", NumberRange{{.lt = -0.0L}}))));
  // Bounds that are the same as doubles.
  EXPECT_NE(of(Must(Where("a", NumberRange{{.lt = 9007199254740992.0L}}))),
            of(Must(Where("a", NumberRange{{.lt = 9007199254740993.0L}}))));
  EXPECT_NE(of(Filter{.must = {Where("a", Bool(true))}}),
            of(Filter{.must_not = {Where("a", Bool(true))}}));
}

}  // namespace
}  // namespace tessera
