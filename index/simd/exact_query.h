#ifndef TESSERA_INDEX_SIMD_EXACT_QUERY_H_
#define TESSERA_INDEX_SIMD_EXACT_QUERY_H_

#include <cstddef>
#include <cstdint>

#include "index/base/types.h"

namespace tessera {

// What the kernels of exact.cc need to know of a query. Does not own.
struct ExactQuery {
  Metric metric;
  ElementType type;  // of the stored vectors
  size_t dim;
  const float* query;
  const uint8_t* integer_query;  // in the stored type, or nullptr: compare in float
  int32_t integer_query_sum;
  int32_t integer_query_square;  // of each component times itself with its sign bit flipped
  double query_norm2;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_EXACT_QUERY_H_
