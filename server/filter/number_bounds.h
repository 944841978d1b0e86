#ifndef TESSERA_SERVER_FILTER_NUMBER_BOUNDS_H_
#define TESSERA_SERVER_FILTER_NUMBER_BOUNDS_H_

#include <cstdint>

#include "server/filter/filter.h"

namespace tessera {

// Bounds of the keys of an index, within which the same of them lie as within `bounds`: to compare
// keys with numbers that hold both types would take several times as long.
Bounds<int64_t> BoundsOfIntegers(const Bounds<Number>& bounds);
Bounds<double> BoundsOfDoubles(const Bounds<Number>& bounds);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_NUMBER_BOUNDS_H_
