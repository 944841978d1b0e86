#ifndef TESSERA_SERVER_FILTER_FINGERPRINT_H_
#define TESSERA_SERVER_FILTER_FINGERPRINT_H_

#include <cstdint>

#include "server/filter/filter.h"

namespace tessera {

// Tells one filter from others, but for one in four billion: the same for filters that are equal
// after CheckFilter, on every machine. Of a filter without conditions it is 0.
uint32_t FilterFingerprint(const Filter& filter);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FINGERPRINT_H_
