#ifndef TESSERA_TESTS_SERVER_FILTER_RANDOM_FILTERS_H_
#define TESSERA_TESTS_SERVER_FILTER_RANDOM_FILTERS_H_

#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/filter/datetime.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {

// Payloads and filters of all kinds, few enough to meet. The same seed gives the same.
class RandomFilters {
 public:
  explicit RandomFilters(uint32_t seed) : random_(seed) {}

  size_t Below(size_t n) { return random_() % n; }

  nlohmann::json Payload() {
    using Json = nlohmann::json;
    if (Below(10) == 0) return nullptr;
    Json payload = Json::object();
    for (const char* key : {"k", "i", "f", "d", "b", "free"}) {
      if (Below(4) == 0) continue;
      Json value = Below(6) == 0 ? Json::array() : Value();
      if (value.is_array()) {
        for (size_t n = Below(4); n > 0; --n) value.push_back(Value());
      }
      payload[key] = value;
    }
    if (Below(2) == 0) payload["o"] = {{"k", Value()}};
    // One value at the most.
    if (Below(3) != 0) payload["one"] = Number();
    if (Below(3) != 0) payload["day"] = Below(5) == 0 ? Json(Number()) : Json(Day());
    return payload;
  }

  Filter OnOneField() {
    Filter filter;
    const char* keys[] = {"k", "i", "o.k", "one", "day"};
    (Below(2) == 0 ? filter.must : filter.should).push_back(Where(keys[Below(5)], Test()));
    return Below(4) == 0 ? Must({std::move(filter)}) : filter;
  }

  Filter MakeFilter(size_t depth) {
    Filter filter;
    const auto fill = [&](std::vector<Condition>& clause) {
      for (size_t n = Below(3); n > 0; --n) clause.push_back(MakeCondition(depth));
    };
    fill(filter.must);
    fill(filter.should);
    fill(filter.must_not);
    return filter;
  }

 private:
  // Few values of every type, so that any field may hold what its index does not expect.
  nlohmann::json Value() {
    switch (Below(8)) {
      case 0:
        return nullptr;
      case 1:
        return Below(2) == 0;
      case 2:
        return Float();
      case 3:
        return Day();
      case 4:
      case 5:
        return Keyword();
      default:
        // Some are beyond what an index of integers holds.
        if (Below(16) == 0) return std::numeric_limits<uint64_t>::max() - Below(2);
        return Number();
    }
  }
  std::string Keyword() {
    if (Below(8) == 0) return Below(2) == 0 ? "\u00e9" : "\u00e9\U0001F600";
    return std::string(1 + Below(2), static_cast<char>('a' + Below(4)));
  }
  int64_t Number() {
    // Between doubles, and at the ends.
    constexpr int64_t kLarge[] = {(int64_t{1} << 53) - 1,
                                  int64_t{1} << 53,
                                  (int64_t{1} << 53) + 1,
                                  (int64_t{1} << 53) + 2,
                                  std::numeric_limits<int64_t>::max(),
                                  std::numeric_limits<int64_t>::max() - 1,
                                  std::numeric_limits<int64_t>::min(),
                                  std::numeric_limits<int64_t>::min() + 1};
    if (Below(4) == 0) return kLarge[Below(std::size(kLarge))];
    return static_cast<int64_t>(Below(12)) - 4;
  }
  double Float() {
    constexpr double kOdd[] = {-0.0, 9007199254740992.0, 9223372036854775808.0, 1e300, -1e-300};
    return Below(4) == 0 ? kOdd[Below(std::size(kOdd))] : static_cast<double>(Below(10)) / 4;
  }
  tessera::Number Bound() {
    if (Below(2) == 0) return static_cast<tessera::Number>(Number());
    return static_cast<tessera::Number>(Float());
  }
  std::string Day() {
    const std::string date = "2024-01-0" + std::to_string(1 + Below(9));
    constexpr const char* kTimes[] = {"T00:00:00Z", "t01:30:00+01:30", "T00:00:00.0000005Z",
                                      "T00:00:00.000001Z", "T23:59:60Z"};
    return Below(3) == 0 ? date + kTimes[Below(std::size(kTimes))] : date;
  }

  template <class T, class Next>
  Bounds<T> MakeBounds(Next next) {
    Bounds<T> bounds;
    if (Below(2) == 0) {
      (Below(2) == 0 ? bounds.gt : bounds.gte) = next();
    }
    if (Below(2) == 0 || bounds.empty()) {
      (Below(2) == 0 ? bounds.lt : bounds.lte) = next();
    }
    return bounds;
  }

  FieldTest Test() {
    const bool except = Below(3) == 0;
    switch (Below(8)) {
      case 0:
        return Keywords({Keyword(), Keyword()}, except);
      case 1:
        return Integers({Number(), Number(), Number()}, except);
      case 2:
        return Match{.bools = {Below(2) == 0}, .except = except};
      case 3:
        return NumberRange{MakeBounds<tessera::Number>([&] { return Bound(); })};
      case 4:
        return DatetimeRange{MakeBounds<int64_t>([&] { return *ParseDatetime(Day()); })};
      case 5:
        return ValuesCount{MakeBounds<uint64_t>([&] { return Below(4); })};
      case 6:
        return Prefix{Keyword()};
      default:
        return std::vector<Presence>{Presence::kExists, Presence::kIsNull,
                                     Presence::kIsEmpty}[Below(3)];
    }
  }

  Condition MakeCondition(size_t depth) {
    if (depth > 0 && Below(4) == 0) return {MakeFilter(depth - 1)};
    if (Below(10) == 0) return {HasId{{FilterId(Below(300)), FilterId(Below(300))}}};
    const char* keys[] = {"k", "i", "f", "d", "b", "o.k", "one", "day", "free"};
    return Where(keys[Below(9)], Test());
  }

  std::mt19937 random_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_FILTER_RANDOM_FILTERS_H_
