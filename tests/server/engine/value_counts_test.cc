#include "server/engine/value_counts.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

TEST(ValueCounts, CountsEachValueOfAPointOnce) {
  const FieldPath key("k");
  ValueCounts counts(key, 10'000);
  ASSERT_TRUE(counts.Add("{\"k\":\"a\"}").ok());
  ASSERT_TRUE(counts.Add("{\"k\":[\"a\",\"b\",\"a\",7]}").ok());
  ASSERT_TRUE(counts.Add("{\"other\":1}").ok());
  EXPECT_EQ(counts.points().size(), 3u);
  EXPECT_EQ(counts.points().at(FacetValue(std::string("a"))), 2u);
  EXPECT_EQ(counts.points().at(FacetValue(std::string("b"))), 1u);
  EXPECT_EQ(counts.points().at(FacetValue(int64_t{7})), 1u);
}

TEST(ValueCounts, RefusesMoreValuesThanItHasMemoryFor) {
  const FieldPath key("k");
  ValueCounts counts(key, 10'000);
  const std::string value(1'000, 'x');
  int values = 0;
  absl::Status status;
  while (status.ok() && values < 100) {
    status = counts.Add(absl::StrCat("{\"k\":\"", values++, value, "\"}"));
    // The same again takes nothing.
    for (int i = 0; status.ok() && i < 50; ++i) {
      ASSERT_TRUE(counts.Add(absl::StrCat("{\"k\":\"", values - 1, value, "\"}")).ok());
    }
  }
  EXPECT_EQ(values, 10);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message().substr(0, 14), "key: k has mor");
}

}  // namespace
}  // namespace tessera
