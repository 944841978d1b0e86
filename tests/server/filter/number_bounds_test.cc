#include "server/filter/number_bounds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tessera {
namespace {

// Numbers around zero, around 2^53 and 2^63, and at the ends.
std::vector<double> Doubles() {
  std::vector<double> doubles = {0.0, 0.5, 1e-300, std::numeric_limits<double>::denorm_min(),
                                 std::numeric_limits<double>::max()};
  for (const double middle : {1.0, 9007199254740992.0, 9223372036854775808.0}) {
    doubles.push_back(middle);
    doubles.push_back(std::nextafter(middle, 0.0));
    doubles.push_back(std::nextafter(middle, 1e300));
  }
  for (size_t i = doubles.size(); i > 0; --i) doubles.push_back(-doubles[i - 1]);
  return doubles;
}
std::vector<int64_t> Integers() {
  std::vector<int64_t> integers = {
      std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::min() + 1,
      std::numeric_limits<int64_t>::max() - 1, std::numeric_limits<int64_t>::max()};
  for (const int64_t middle : {int64_t{0}, int64_t{1} << 53, -(int64_t{1} << 53)}) {
    for (int64_t i = -2; i <= 2; ++i) integers.push_back(middle + i);
  }
  return integers;
}

TEST(NumberBounds, HoldTheSameKeys) {
  std::vector<Number> numbers;
  for (double number : Doubles()) numbers.push_back(number);
  for (int64_t number : Integers()) numbers.push_back(number);
  std::mt19937 random(1);
  const auto bound = [&]() -> std::optional<Number> {
    if (random() % 2 == 0) return std::nullopt;
    return numbers[random() % numbers.size()];
  };
  for (int i = 0; i < 20'000; ++i) {
    Bounds<Number> bounds;
    bounds.lt = bound();
    bounds.lte = bound();
    bounds.gt = bound();
    bounds.gte = bound();
    const Bounds<int64_t> of_integers = BoundsOfIntegers(bounds);
    for (int64_t key : Integers()) {
      ASSERT_EQ(of_integers.Contain(key), bounds.Contain(static_cast<Number>(key))) << key;
    }
    const Bounds<double> of_doubles = BoundsOfDoubles(bounds);
    for (double key : Doubles()) {
      ASSERT_EQ(of_doubles.Contain(key), bounds.Contain(static_cast<Number>(key))) << key;
    }
  }
}

}  // namespace
}  // namespace tessera
