#ifndef TESSERA_TESTS_SERVER_FILTER_FILTER_TEST_UTIL_H_
#define TESSERA_TESTS_SERVER_FILTER_FILTER_TEST_UTIL_H_

#include <string>
#include <utility>
#include <vector>

#include "server/filter/filter.h"

namespace tessera {

inline Condition Where(const std::string& key, FieldTest test) {
  return {FieldCondition{FieldPath(key), std::move(test)}};
}
inline Filter Must(Condition condition) {
  Filter filter;
  filter.must.push_back(std::move(condition));
  return filter;
}
inline Match Keywords(std::vector<std::string> keywords, bool except = false) {
  return {.keywords = std::move(keywords), .except = except};
}
inline Match Integers(std::vector<int64_t> integers, bool except = false) {
  return {.integers = std::move(integers), .except = except};
}
inline Match Bool(bool value) { return {.bools = {value}}; }

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_FILTER_FILTER_TEST_UTIL_H_
