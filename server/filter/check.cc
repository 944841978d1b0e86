#include "server/filter/check.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

using Violation = std::optional<FilterViolation>;

template <class T>
void SortUnique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

class Checker {
 public:
  Violation Check(Filter& filter, const std::string& path, size_t depth) {
    if (depth > limits::kFilterDepthMax) {
      return FilterViolation{path, absl::StrCat("is nested deeper than ", limits::kFilterDepthMax,
                                                " levels of filters")};
    }
    const std::string prefix = path.empty() ? "" : path + ".";
    if (auto violation = CheckClause(filter.must, prefix + "must", depth)) return violation;
    if (auto violation = CheckClause(filter.should, prefix + "should", depth)) return violation;
    return CheckClause(filter.must_not, prefix + "must_not", depth);
  }

 private:
  Violation CheckClause(std::vector<Condition>& clause, const std::string& name, size_t depth) {
    for (size_t i = 0; i < clause.size(); ++i) {
      const std::string path = absl::StrCat(name, "[", i, "]");
      if (++conditions_ > limits::kFilterConditionsMax) {
        return FilterViolation{path,
                               absl::StrCat("is one condition too many; a filter has at most ",
                                            limits::kFilterConditionsMax)};
      }
      if (auto violation = CheckCondition(clause[i], path, depth)) return violation;
    }
    return std::nullopt;
  }

  Violation CheckCondition(Condition& condition, const std::string& path, size_t depth) {
    if (Filter* filter = std::get_if<Filter>(&condition.kind)) {
      return Check(*filter, path + ".filter", depth + 1);
    }
    if (HasId* has_id = std::get_if<HasId>(&condition.kind)) {
      SortUnique(has_id->ids);
      return CountValues(has_id->ids.size(), path + ".has_id");
    }
    FieldCondition& field = std::get<FieldCondition>(condition.kind);
    if (std::string problem = field.key.Violation(); !problem.empty()) {
      return FilterViolation{path + ".key", std::move(problem)};
    }
    return std::visit([&](auto& test) { return CheckTest(test, path); }, field.test);
  }

  Violation CheckTest(Match& match, const std::string& path) {
    SortUnique(match.keywords);
    SortUnique(match.integers);
    SortUnique(match.bools);
    const size_t values = match.keywords.size() + match.integers.size() + match.bools.size();
    if (values == 0) return FilterViolation{path + ".match", "has no value"};
    return CountValues(values, path + ".match");
  }
  Violation CheckTest(NumberRange& range, const std::string& path) {
    const auto& [lt, lte, gt, gte] = range.bounds;
    const std::pair<const char*, const std::optional<Number>&> bounds[] = {
        {"lt", lt}, {"lte", lte}, {"gt", gt}, {"gte", gte}};
    for (const auto& [name, bound] : bounds) {
      if (bound && !std::isfinite(*bound)) {
        return FilterViolation{absl::StrCat(path, ".range.", name), "is not a finite number"};
      }
    }
    return CheckBounds(range.bounds, path + ".range");
  }
  Violation CheckTest(DatetimeRange& range, const std::string& path) {
    return CheckBounds(range.bounds, path + ".datetime_range");
  }
  Violation CheckTest(ValuesCount& count, const std::string& path) {
    return CheckBounds(count.bounds, path + ".values_count");
  }
  Violation CheckTest(Prefix& prefix, const std::string& path) {
    if (prefix.text.empty()) return FilterViolation{path + ".prefix", "is empty"};
    return std::nullopt;
  }
  Violation CheckTest(Presence&, const std::string&) { return std::nullopt; }

  template <class T>
  static Violation CheckBounds(const Bounds<T>& bounds, const std::string& path) {
    if (bounds.empty()) return FilterViolation{path, "has none of lt, lte, gt, gte"};
    return std::nullopt;
  }

  Violation CountValues(size_t values, const std::string& path) {
    values_ += values;
    if (values_ <= limits::kFilterValuesMax) return std::nullopt;
    return FilterViolation{
        path, absl::StrCat("brings the values and ids of the filter to ", values_, "; at most ",
                           limits::kFilterValuesMax, " are allowed")};
  }

  size_t conditions_ = 0;
  size_t values_ = 0;
};

}  // namespace

bool TestsNothing(const Filter& filter) {
  const auto tests_nothing = [](const Condition& condition) {
    const Filter* inner = std::get_if<Filter>(&condition.kind);
    return inner != nullptr && TestsNothing(*inner);
  };
  return std::ranges::all_of(filter.must, tests_nothing) &&
         std::ranges::all_of(filter.should, tests_nothing) &&
         std::ranges::all_of(filter.must_not, tests_nothing);
}

std::optional<FilterViolation> CheckFilter(Filter* filter) {
  return Checker().Check(*filter, "", 1);
}

}  // namespace tessera
