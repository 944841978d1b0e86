#ifndef TESSERA_SERVER_FILTER_CHECK_H_
#define TESSERA_SERVER_FILTER_CHECK_H_

#include <optional>
#include <string>

#include "server/filter/filter.h"

namespace tessera {

// Where a filter breaks a rule: "must[2].range.gte", "is not a number".
struct FilterViolation {
  std::string field;  // the path inside the filter, named as in tessera.v1.Filter
  std::string description;
};

// The first violation of the limits on depth, conditions and values, and of the sense of each
// condition; nullopt if there is none. Sorts the lists of values and ids, so that evaluation can
// look them up; until then a filter must not be evaluated.
std::optional<FilterViolation> CheckFilter(Filter* filter);

// Whether a filter holds no condition but filters that hold none: it means all points, or none, and
// was hardly meant so.
bool TestsNothing(const Filter& filter);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_CHECK_H_
