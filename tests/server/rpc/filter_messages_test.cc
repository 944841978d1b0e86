// Filters off the wire: random trees, up to and beyond the depth limit, that are right but for one
// fault at the most.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "server/filter/check.h"
#include "server/rpc/convert_filter.h"

namespace tessera {
namespace {

class RandomMessages {
 public:
  explicit RandomMessages(uint32_t seed) : random_(seed) {}

  // A filter that is nested `depth` deep at its deepest.
  v1::Filter Make(size_t depth) {
    v1::Filter filter;
    const size_t deepest = Below(3);
    for (size_t clause = 0; clause < 3; ++clause) {
      for (size_t n = Below(3); n > 0; --n) Fill(Add(filter, clause), 0);
      if (depth > 1 && clause == deepest) {
        *Add(filter, clause)->mutable_filter() = Make(depth - 1);
      } else if (depth > 1 && Below(6) == 0) {
        *Add(filter, clause)->mutable_filter() = Make(1);
      }
    }
    return filter;
  }

  // Puts a fault into one of its conditions, and returns the field that is then wrong.
  std::string Spoil(v1::Filter* filter) {
    std::vector<Place> places;
    Collect(filter, "filter", &places);
    if (places.empty()) places.push_back({filter->add_must(), "filter.must[0]"});
    const auto& [condition, path] = places[Below(places.size())];
    if (condition->has_filter()) {
      if (Below(2) == 0) {
        condition->set_key("a");
        return path + ".key";
      }
      AddUnknown(condition->mutable_filter());
      return path + ".filter";
    }
    return absl::StrCat(path, SpoilTest(condition));
  }

 private:
  struct Place {
    v1::Condition* condition;
    std::string path;
  };

  size_t Below(size_t n) { return random_() % n; }
  static v1::Condition* Add(v1::Filter& filter, size_t clause) {
    if (clause == 0) return filter.add_must();
    return clause == 1 ? filter.add_should() : filter.add_must_not();
  }
  template <class Message>
  static void AddUnknown(Message* message) {
    message->GetReflection()->MutableUnknownFields(message)->AddVarint(1'000, 1);
  }

  // A condition that is right, of each kind.
  void Fill(v1::Condition* condition, size_t kinds_left_out) {
    condition->set_key(Below(2) == 0 ? "a" : "a[].b");
    switch (kinds_left_out + Below(11 - kinds_left_out)) {
      case 0:
        condition->clear_key();
        condition->mutable_has_id()->add_num(random_());
        break;
      case 1:
        condition->mutable_match()->set_keyword("");
        break;
      case 2:
        condition->mutable_match()->mutable_except_integers()->add_integers(-1);
        break;
      case 3:
        condition->mutable_match()->set_boolean(false);
        break;
      case 4:
        condition->mutable_range()->set_gte(-0.0);
        break;
      case 5:
        condition->mutable_integer_range()->set_lt(std::numeric_limits<int64_t>::min());
        break;
      case 6:
        condition->mutable_datetime_range()->set_gt("2024-02-29T12:00:00.5+05:30");
        break;
      case 7:
        condition->mutable_values_count()->set_lte(std::numeric_limits<uint64_t>::max());
        break;
      case 8:
        condition->set_prefix("\u00e9");
        break;
      case 9:
        condition->set_exists(true);
        break;
      default:
        Below(2) == 0 ? condition->set_is_null(true) : condition->set_is_empty(true);
    }
  }

  // Gives the condition, which is no filter, a fault; the rest of the path of its field.
  const char* SpoilTest(v1::Condition* condition) {
    if (condition->test_case() == v1::Condition::TEST_NOT_SET) return "";
    Fill(condition, 1);
    switch (Below(14)) {
      case 0:
        condition->clear_test();
        return "";
      case 1:
        condition->set_key(Below(2) == 0 ? "" : std::string(limits::kFieldPathBytesMax + 1, 'a'));
        return ".key";
      case 2:
        condition->set_key(Below(2) == 0 ? "a..b" : "a.");
        return ".key";
      case 3:
        Below(2) == 0 ? condition->mutable_match()->clear_match_value()
                      : condition->mutable_match()->mutable_keywords()->clear_strings();
        return ".match";
      case 4:
        condition->mutable_range()->Clear();
        return ".range";
      case 5:
        condition->mutable_range()->set_lte(std::numeric_limits<double>::quiet_NaN());
        return ".range.lte";
      case 6:
        condition->mutable_integer_range()->Clear();
        return ".integer_range";
      case 7:
        condition->mutable_datetime_range()->set_lt("2023-02-29");
        return ".datetime_range.lt";
      case 8:
        condition->mutable_values_count()->Clear();
        return ".values_count";
      case 9:
        condition->set_prefix("");
        return ".prefix";
      case 10:
        condition->set_exists(false);
        return ".exists";
      case 11:
        condition->mutable_has_id()->Clear();
        condition->clear_key();
        return ".has_id";
      case 12:
        AddUnknown(condition);
        return "";
      default:
        condition->mutable_range()->set_gt(1);
        AddUnknown(condition->mutable_range());
        return ".range";
    }
  }

  static void Collect(v1::Filter* filter, const std::string& path, std::vector<Place>* places) {
    const auto collect = [&](auto* clause, const char* name) {
      for (int i = 0; i < clause->size(); ++i) {
        v1::Condition* condition = clause->Mutable(i);
        places->push_back({condition, absl::StrCat(path, ".", name, "[", i, "]")});
        if (!condition->has_filter()) continue;
        Collect(condition->mutable_filter(), places->back().path + ".filter", places);
      }
    };
    collect(filter->mutable_must(), "must");
    collect(filter->mutable_should(), "should");
    collect(filter->mutable_must_not(), "must_not");
  }

  std::mt19937 random_;
};

// The field that a request with this filter is refused for; "" if it is taken.
std::string FieldAtFault(const v1::Filter& message) {
  auto filter = ToFilter(message, "filter");
  if (!filter.ok()) {
    EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
    return GetStatusDetails(filter.status()).field;
  }
  // As the engine does.
  const auto violation = CheckFilter(&*filter);
  return violation.has_value() ? absl::StrCat("filter.", violation->field) : "";
}

TEST(FilterMessages, AreTakenOrRefusedByField) {
  RandomMessages random(1);
  for (size_t depth = 1; depth <= limits::kFilterDepthMax; ++depth) {
    for (int i = 0; i < 1'000; ++i) {
      v1::Filter filter = random.Make(depth);
      ASSERT_EQ(FieldAtFault(filter), "") << filter.DebugString();
      const std::string field = random.Spoil(&filter);
      ASSERT_EQ(FieldAtFault(filter), field) << filter.DebugString();
    }
  }
}

TEST(FilterMessages, NameTheFilterThatIsTooDeep) {
  RandomMessages random(2);
  for (size_t depth = limits::kFilterDepthMax + 1; depth < 2 * limits::kFilterDepthMax; ++depth) {
    for (int i = 0; i < 200; ++i) {
      const std::string field = FieldAtFault(random.Make(depth));
      EXPECT_TRUE(field.ends_with("].filter")) << field;
      size_t filters = 0;
      for (size_t at = 0; (at = field.find("filter", at)) != std::string::npos; ++at) ++filters;
      EXPECT_EQ(filters, limits::kFilterDepthMax + 1) << field;
    }
  }
}

constexpr int kConditionsMost = static_cast<int>(limits::kFilterConditionsMax);
constexpr int kValuesMost = static_cast<int>(limits::kFilterValuesMax);

v1::Filter Conditions(int count) {
  v1::Filter filter;
  for (int i = 0; i < count; ++i) {
    v1::Condition* condition = filter.add_must();
    condition->set_key("a");
    condition->mutable_match()->set_integer(i);
  }
  return filter;
}

// That ToFilter itself refuses it for `field`, and says what the engine says.
void ExpectRefused(const v1::Filter& message, const std::string& field, Filter* same) {
  const auto filter = ToFilter(message, "filter");
  ASSERT_FALSE(filter.ok());
  EXPECT_EQ(GetStatusDetails(filter.status()).field, field);
  const auto violation = CheckFilter(same);
  ASSERT_TRUE(violation.has_value());
  EXPECT_EQ(field, absl::StrCat("filter.", violation->field));
  EXPECT_TRUE(absl::EndsWith(filter.status().message(), violation->description))
      << filter.status().message();
}

TEST(FilterMessages, AreNotConvertedBeyondTheMostConditions) {
  v1::Filter message = Conditions(kConditionsMost);
  Filter filter = *ToFilter(message, "filter");
  EXPECT_FALSE(CheckFilter(&filter).has_value());
  message.add_should()->set_exists(true);
  message.mutable_should(0)->set_key("a");
  filter.should.push_back(filter.must.front());
  ExpectRefused(message, "filter.should[0]", &filter);

  // Those inside are counted too.
  v1::Filter outer = Conditions(2);
  *outer.add_must()->mutable_filter() = Conditions(kConditionsMost);
  Filter same = *ToFilter(Conditions(2), "filter");
  filter.should.clear();
  same.must.push_back({filter});
  ExpectRefused(outer, absl::StrCat("filter.must[2].filter.must[", kConditionsMost - 3, "]"),
                &same);
}

TEST(FilterMessages, AreNotConvertedBeyondTheMostValues) {
  v1::Filter message;
  Filter same;
  const auto add = [&](int count) {
    const int first = message.must_size() * kValuesMost;
    v1::Filter one;
    one.add_must()->set_key("a");
    for (int i = 0; i < count; ++i) {
      one.mutable_must(0)->mutable_match()->mutable_integers()->add_integers(first + i);
    }
    *message.add_must() = one.must(0);
    same.must.push_back(ToFilter(one, "filter")->must.front());
  };
  add(kValuesMost - 1);
  add(1);
  Filter filter = *ToFilter(message, "filter");
  EXPECT_FALSE(CheckFilter(&filter).has_value());
  add(2);
  ExpectRefused(message, "filter.must[2].match", &same);

  v1::Condition* has_id = message.mutable_must(2);
  has_id->Clear();
  has_id->mutable_has_id()->add_num(1);
  same.must[2].kind = HasId{{PointId(uint64_t{1})}};
  ExpectRefused(message, "filter.must[2].has_id", &same);

  // Of many values that are the same, too: they are refused before they are looked at.
  v1::Filter alike;
  alike.add_must()->set_key("a");
  const std::string value = "a";
  for (int i = 0; i <= kValuesMost; ++i) {
    alike.mutable_must(0)->mutable_match()->mutable_except_keywords()->add_strings(value);
  }
  const auto refused = ToFilter(alike, "filter");
  EXPECT_EQ(GetStatusDetails(refused.status()).field, "filter.must[0].match");
}

}  // namespace
}  // namespace tessera
