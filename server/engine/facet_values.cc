#include "server/engine/facet_values.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/filter/check.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

// Values by their types, as a filter lists them.
struct ByType {
  explicit ByType(const std::vector<FacetValue>& values) {
    for (const FacetValue& value : values) {
      if (const auto* text = std::get_if<std::string>(&value)) keywords.push_back(*text);
      if (const auto* integer = std::get_if<int64_t>(&value)) integers.push_back(*integer);
      if (const auto* flag = std::get_if<bool>(&value)) bools.push_back(*flag);
    }
  }
  std::vector<std::string> keywords;
  std::vector<int64_t> integers;
  std::vector<bool> bools;
};

Filter AnyOf(const FieldPath& key, std::vector<Match> tests) {
  Filter filter;
  for (Match& test : tests) filter.should.push_back({FieldCondition{key, std::move(test)}});
  // Sorts the lists, which are right.
  (void)CheckFilter(&filter);
  return filter;
}

}  // namespace

std::vector<FacetValue> FacetValuesOf(const FieldPath& key, std::string_view payload) {
  std::vector<FacetValue> values;
  const nlohmann::json json = ParsePayload(payload);
  for (const nlohmann::json* value : key.Find(json).values) {
    if (value->is_string()) values.emplace_back(value->get<std::string>());
    if (value->is_boolean()) values.emplace_back(value->get<bool>());
    if (const auto integer = AsInteger(*value)) values.emplace_back(*integer);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

Filter WithSomeOf(const FieldPath& key, const std::vector<FacetValue>& values) {
  ByType by_type(values);
  return AnyOf(key, {Match{.keywords = std::move(by_type.keywords),
                           .integers = std::move(by_type.integers),
                           .bools = std::move(by_type.bools)}});
}

Filter WithOthersThan(const FieldPath& key, const std::vector<FacetValue>& values) {
  ByType by_type(values);
  std::vector<Match> tests;
  // An exception to nothing is everything that is listed, and everything but that.
  if (by_type.keywords.empty()) {
    by_type.keywords = {""};
    tests.push_back({.keywords = by_type.keywords});
  }
  if (by_type.integers.empty()) {
    by_type.integers = {0};
    tests.push_back({.integers = by_type.integers});
  }
  if (by_type.bools.empty()) {
    by_type.bools = {true};
    tests.push_back({.bools = by_type.bools});
  }
  tests.push_back({.keywords = std::move(by_type.keywords), .except = true});
  tests.push_back({.integers = std::move(by_type.integers), .except = true});
  tests.push_back({.bools = std::move(by_type.bools), .except = true});
  return AnyOf(key, std::move(tests));
}

}  // namespace tessera
