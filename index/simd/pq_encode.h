#ifndef TESSERA_INDEX_SIMD_PQ_ENCODE_H_
#define TESSERA_INDEX_SIMD_PQ_ENCODE_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// Points per block of the kernels below: component t of point i lies at block[t * kPqBlock + i].
inline constexpr size_t kPqBlock = 64;

// For each of the kPqBlock points of a block of `dim` components, the nearest of `count` codewords
// (at most 256, `dim` floats each, one after the other): code[i] is its number, the lowest among
// equals, and cost[i] is half its squared norm less its inner product with the point, so that the
// squared distance is |point|^2 + 2 cost. half_norms[j] is |codeword j|^2 / 2.
void NearestCodewords(const float* block, size_t dim, const float* codewords,
                      const float* half_norms, size_t count, uint8_t* code, float* cost);

// Turns rows of `stride` floats into a block: component t of row i to block[t * kPqBlock + i], for
// `rows` (at most kPqBlock) rows and `dim` components; the points behind them become zero.
void TransposeToBlock(const float* rows_data, size_t rows, size_t stride, size_t dim, float* block);

// The inner product of two vectors of n floats.
float FloatDotProduct(const float* a, const float* b, size_t n);

// The squared Euclidean distance of two vectors of n floats.
float FloatSquaredDistance(const float* a, const float* b, size_t n);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_PQ_ENCODE_H_
