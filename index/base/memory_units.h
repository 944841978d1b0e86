#ifndef TESSERA_INDEX_BASE_MEMORY_UNITS_H_
#define TESSERA_INDEX_BASE_MEMORY_UNITS_H_

#include <cstddef>

namespace tessera {

inline constexpr size_t kCacheLineBytes = 64;
inline constexpr size_t kPageBytes = size_t{4} << 10;
inline constexpr size_t kHugePageBytes = size_t{2} << 20;

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_MEMORY_UNITS_H_
