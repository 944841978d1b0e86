#ifndef TESSERA_SERVER_ENGINE_FACET_VALUES_H_
#define TESSERA_SERVER_ENGINE_FACET_VALUES_H_

#include <string_view>
#include <vector>

#include "server/engine/types.h"
#include "server/filter/filter.h"

namespace tessera {

// The values of a payload's field that can be counted or grouped by, each once, in order.
std::vector<FacetValue> FacetValuesOf(const FieldPath& key, std::string_view payload);

// Points that have some of these values.
Filter WithSomeOf(const FieldPath& key, const std::vector<FacetValue>& values);
// Points that have some other value that can be counted.
Filter WithOthersThan(const FieldPath& key, const std::vector<FacetValue>& values);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_FACET_VALUES_H_
