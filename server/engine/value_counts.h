#ifndef TESSERA_SERVER_ENGINE_VALUE_COUNTS_H_
#define TESSERA_SERVER_ENGINE_VALUE_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/engine/errors.h"
#include "server/engine/facet_values.h"
#include "server/engine/types.h"

namespace tessera {

// How many points have each value of a field, where no index knows it. Not thread-safe.
class ValueCounts {
 public:
  // `key` outlives it.
  ValueCounts(const FieldPath& key, size_t bytes_max) : key_(key), bytes_max_(bytes_max) {}

  // RESOURCE_EXHAUSTED if the values take more than bytes_max of memory.
  absl::Status Add(std::string_view payload) {
    for (FacetValue& value : FacetValuesOf(key_, payload)) {
      const auto [entry, is_new] = points_.try_emplace(std::move(value), 0);
      ++entry->second;
      if (is_new) bytes_ += BytesOf(entry->first);
    }
    if (bytes_ <= bytes_max_) return absl::OkStatus();
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, "FACET_TOO_LARGE",
        absl::StrCat("key: ", key_.text(), " has more than ", points_.size(),
                     " values, which take more memory than a facet may without a payload index"));
  }
  const std::map<FacetValue, uint64_t>& points() const { return points_; }

 private:
  static size_t BytesOf(const FacetValue& value) {
    constexpr size_t kNodeBytes = 32;  // of the tree, beside what it holds
    const auto* text = std::get_if<std::string>(&value);
    return kNodeBytes + sizeof(std::pair<FacetValue, uint64_t>) +
           (text == nullptr ? 0 : text->size());
  }

  const FieldPath& key_;
  const size_t bytes_max_;
  std::map<FacetValue, uint64_t> points_;
  size_t bytes_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_VALUE_COUNTS_H_
