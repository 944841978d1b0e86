#include "server/engine/filter_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

std::shared_ptr<const FilterMatches> SomeMatches() {
  return std::make_shared<const FilterMatches>(Roaring());
}
// A filter for `n` that takes about so many bytes.
Filter Large(int64_t n, size_t bytes) {
  Filter filter = Must(Where("n", Integers({n})));
  filter.should.push_back(Where("text", Keywords({std::string(bytes, 'x')})));
  return filter;
}

TEST(FilterCache, KnowsTheLastFiltersOfTheNewestView) {
  FilterCache cache;
  const auto matches = SomeMatches();
  for (int64_t n = 0; n < 20; ++n) cache.Put(3, Large(n, 10), matches);
  EXPECT_EQ(cache.Find(3, Large(19, 10)), matches);
  EXPECT_EQ(cache.Find(3, Large(4, 10)), matches);
  EXPECT_EQ(cache.Find(3, Large(3, 10)), nullptr) << "sixteen came after it";
  EXPECT_EQ(cache.Find(3, Large(19, 11)), nullptr);
  EXPECT_EQ(cache.Find(2, Large(19, 10)), nullptr);
  cache.Put(2, Large(30, 10), matches);
  EXPECT_EQ(cache.Find(3, Large(19, 10)), matches);
  cache.Put(4, Large(30, 10), matches);
  EXPECT_EQ(cache.Find(4, Large(19, 10)), nullptr);
  cache.ForgetBefore(5);
  EXPECT_EQ(cache.Find(4, Large(30, 10)), nullptr);
}

TEST(FilterCache, HoldsSoManyBytesOfFilters) {
  FilterCache cache;
  const auto matches = SomeMatches();
  constexpr size_t kMebibyte = size_t{1} << 20;
  for (int64_t n = 0; n < 16; ++n) cache.Put(1, Large(n, 5 * kMebibyte), matches);
  EXPECT_EQ(matches.use_count(), 4) << "three of five MiB, and this";
  EXPECT_EQ(cache.Find(1, Large(13, 5 * kMebibyte)), matches);
  cache.Put(1, Large(99, 17 * kMebibyte), matches);
  EXPECT_EQ(cache.Find(1, Large(99, 17 * kMebibyte)), nullptr);
  EXPECT_EQ(cache.Find(1, Large(15, 5 * kMebibyte)), matches) << "it drove none out";
  cache.Put(1, Large(50, 14 * kMebibyte), matches);
  EXPECT_EQ(cache.Find(1, Large(50, 14 * kMebibyte)), matches);
  EXPECT_EQ(matches.use_count(), 2);
  cache.ForgetBefore(2);
  EXPECT_EQ(matches.use_count(), 1);
}

}  // namespace
}  // namespace tessera
