#ifndef TESSERA_INDEX_CLUSTER_GEMM_H_
#define TESSERA_INDEX_CLUSTER_GEMM_H_

#include <cstddef>

#include "index/base/matrix.h"

namespace tessera {

// out[i * stride + j] = <row i of a, row j of b>, for all rows of both; a.cols == b.cols, and
// stride >= b.rows.
//
// These are the one door to the linear-algebra library. They run in the calling thread alone:
// parallel callers split the rows of `a` themselves. Thread-safe. The same shapes and values give
// the same bits on the same machine.
void InnerProducts(MatrixView a, MatrixView b, float* out, size_t stride);

// The same with `b` transposed, a.cols x n, and without gaps in `out`: faster where both sides have
// only some tens of rows, because nothing has to be rearranged.
void InnerProductsTransposed(MatrixView a, const float* b, size_t n, float* out);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_GEMM_H_
