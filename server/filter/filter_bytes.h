#ifndef TESSERA_SERVER_FILTER_FILTER_BYTES_H_
#define TESSERA_SERVER_FILTER_FILTER_BYTES_H_

#include <cstddef>

#include "server/filter/filter.h"

namespace tessera {

// The memory that a filter takes, about: a hundred thousand long strings are many.
size_t FilterBytes(const Filter& filter);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FILTER_BYTES_H_
