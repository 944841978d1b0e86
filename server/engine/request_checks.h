#ifndef TESSERA_SERVER_ENGINE_REQUEST_CHECKS_H_
#define TESSERA_SERVER_ENGINE_REQUEST_CHECKS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "server/filter/check.h"

namespace tessera {

// Checks of requests that hold for any collection. INVALID_ARGUMENT with the field.

// What evaluation asks of a filter: checked, with its lists in order.
inline absl::StatusOr<Filter> CheckedFilter(Filter filter) {
  if (auto violation = CheckFilter(&filter)) {
    return InvalidField("filter." + violation->field, violation->description);
  }
  return filter;
}

inline absl::Status CheckPageSize(size_t page_size) {
  if (page_size <= limits::kPageSizeMax) return absl::OkStatus();
  return InvalidField("page_size", absl::StrCat("is ", page_size, "; at most ",
                                                limits::kPageSizeMax, " is allowed"));
}

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_REQUEST_CHECKS_H_
