#include "server/filter/evaluate.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "server/filter/datetime.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

template <class T, class V>
bool Listed(const std::vector<T>& sorted, const V& value) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  return at != sorted.end() && *at == value;
}

bool Test(const Match& match, const Json& value) {
  if (value.is_string() && !match.keywords.empty()) {
    return Listed(match.keywords, value.get_ref<const std::string&>()) != match.except;
  }
  if (value.is_boolean() && !match.bools.empty()) {
    return Listed(match.bools, value.get<bool>()) != match.except;
  }
  if (const auto integer = AsInteger(value); integer && !match.integers.empty()) {
    return Listed(match.integers, *integer) != match.except;
  }
  return false;
}

bool Test(const NumberRange& range, const Json& value) {
  if (value.is_number_unsigned()) return range.bounds.Contain(value.get<uint64_t>());
  if (value.is_number_integer()) return range.bounds.Contain(value.get<int64_t>());
  return value.is_number() && range.bounds.Contain(value.get<double>());
}

bool Test(const DatetimeRange& range, const Json& value) {
  if (!value.is_string()) return false;
  const auto time = ParseDatetime(value.get_ref<const std::string&>());
  return time.has_value() && range.bounds.Contain(*time);
}

bool Test(const Prefix& prefix, const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().starts_with(prefix.text);
}

struct TestOf {
  const FieldValues& found;

  bool operator()(const Presence& presence) const {
    const auto is_null = [](const Json* value) { return value->is_null(); };
    switch (presence) {
      case Presence::kExists:
        return found.exists;
      case Presence::kIsNull:
        return std::any_of(found.values.begin(), found.values.end(), is_null);
      case Presence::kIsEmpty:
        return std::all_of(found.values.begin(), found.values.end(), is_null);
    }
    return false;
  }
  bool operator()(const ValuesCount& count) const {
    const auto values = std::count_if(found.values.begin(), found.values.end(),
                                      [](const Json* value) { return !value->is_null(); });
    return count.bounds.Contain(static_cast<uint64_t>(values));
  }
  template <class T>
  bool operator()(const T& test) const {
    return std::any_of(found.values.begin(), found.values.end(),
                       [&](const Json* value) { return Test(test, *value); });
  }
};

bool Holds(const HasId& has_id, const FilterIdView& id) {
  FilterId wanted;
  if (const uint64_t* number = std::get_if<uint64_t>(&id)) {
    wanted = *number;
  } else {
    wanted = std::string(std::get<std::string_view>(id));
  }
  return std::binary_search(has_id.ids.begin(), has_id.ids.end(), wanted);
}

bool Holds(const Condition& condition, const FilterIdView& id, const Json& payload) {
  if (const auto* field = std::get_if<FieldCondition>(&condition.kind)) {
    return Matches(*field, payload);
  }
  if (const auto* has_id = std::get_if<HasId>(&condition.kind)) return Holds(*has_id, id);
  return Matches(std::get<Filter>(condition.kind), id, payload);
}

}  // namespace

bool Matches(const FieldCondition& condition, const Json& payload) {
  return std::visit(TestOf{condition.key.Find(payload)}, condition.test);
}

bool Matches(const Filter& filter, const FilterIdView& id, const Json& payload) {
  const auto holds = [&](const Condition& condition) { return Holds(condition, id, payload); };
  return std::all_of(filter.must.begin(), filter.must.end(), holds) &&
         (filter.should.empty() ||
          std::any_of(filter.should.begin(), filter.should.end(), holds)) &&
         std::none_of(filter.must_not.begin(), filter.must_not.end(), holds);
}

bool MatchesText(const Filter& filter, const FilterIdView& id, std::string_view payload) {
  return Matches(filter, id, ParsePayload(payload));
}

}  // namespace tessera
