#ifndef TESSERA_INDEX_QUANTIZE_CODEWORD_TRAINER_H_
#define TESSERA_INDEX_QUANTIZE_CODEWORD_TRAINER_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// k-means for the codewords of one subquantizer: few dimensions, at most 256 clusters, in the
// calling thread, with the kernel that encodes.
//
// `blocks` holds `n` > 0 points of `dim` components in blocks of kPqBlock (index/simd/pq_encode.h),
// zeros behind the last. Writes `count` x `dim` floats to `codewords`; with fewer distinct points
// than codewords some are equal. Seeded by k-means++ on part of the points; deterministic.
void TrainCodewords(const float* blocks, size_t n, size_t dim, size_t count, size_t iterations,
                    uint64_t seed, float* codewords);

}  // namespace tessera

#endif  // TESSERA_INDEX_QUANTIZE_CODEWORD_TRAINER_H_
