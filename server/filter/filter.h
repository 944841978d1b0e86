#ifndef TESSERA_SERVER_FILTER_FILTER_H_
#define TESSERA_SERVER_FILTER_FILTER_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/filter/field_path.h"

// A filter as a tree. README.md says what each condition means. Plain values: copy, move, compare
// and share them as such. What comes from outside goes through CheckFilter before it is used.
namespace tessera {

// Some value at the key is one of these; with `except`, some value at the key that is of the type
// of these is none of them.
struct Match {
  std::vector<std::string> keywords;
  std::vector<int64_t> integers;
  std::vector<bool> bools;
  bool except = false;

  friend bool operator==(const Match&, const Match&) = default;
};

// What is not set does not bound.
template <class T>
struct Bounds {
  std::optional<T> lt, lte, gt, gte;

  bool Contain(T value) const {
    return !(lt && !(value < *lt)) && !(lte && !(value <= *lte)) && !(gt && !(value > *gt)) &&
           !(gte && !(value >= *gte));
  }
  bool empty() const { return !lt && !lte && !gt && !gte; }
  friend bool operator==(const Bounds&, const Bounds&) = default;
};

// Holds every integer of 64 bits and every double, so that the two are compared exactly.
using Number = long double;
static_assert(std::numeric_limits<Number>::digits >= 64);

struct NumberRange {  // some number at the key
  Bounds<Number> bounds;
  friend bool operator==(const NumberRange&, const NumberRange&) = default;
};
struct DatetimeRange {  // some string at the key that ParseDatetime understands
  Bounds<int64_t> bounds;
  friend bool operator==(const DatetimeRange&, const DatetimeRange&) = default;
};
struct ValuesCount {  // how many values but null are at the key
  Bounds<uint64_t> bounds;
  friend bool operator==(const ValuesCount&, const ValuesCount&) = default;
};
struct Prefix {  // some string at the key begins with it, byte by byte
  std::string text;
  friend bool operator==(const Prefix&, const Prefix&) = default;
};
enum class Presence {
  kExists,   // the key leads somewhere, be it to null
  kIsNull,   // some value at the key is null
  kIsEmpty,  // no value but null is at the key
};
using FieldTest = std::variant<Match, NumberRange, DatetimeRange, ValuesCount, Prefix, Presence>;

struct FieldCondition {
  FieldPath key;
  FieldTest test;
  friend bool operator==(const FieldCondition&, const FieldCondition&) = default;
};

using FilterId = std::variant<uint64_t, std::string>;  // as PointId
struct HasId {
  std::vector<FilterId> ids;
  friend bool operator==(const HasId&, const HasId&) = default;
};

struct Condition;

// All of `must`, at least one of `should` if there are any, none of `must_not`. An empty filter
// matches every point.
struct Filter {
  std::vector<Condition> must, should, must_not;

  bool empty() const;
  friend bool operator==(const Filter&, const Filter&);
};

struct Condition {
  std::variant<FieldCondition, HasId, Filter> kind;
  friend bool operator==(const Condition&, const Condition&) = default;
};

inline bool Filter::empty() const { return must.empty() && should.empty() && must_not.empty(); }
inline bool operator==(const Filter& a, const Filter& b) {
  return a.must == b.must && a.should == b.should && a.must_not == b.must_not;
}

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FILTER_H_
