#ifndef TESSERA_TESTS_INDEX_LOW_RANK_H_
#define TESSERA_TESTS_INDEX_LOW_RANK_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>

#include "index/base/matrix.h"

namespace tessera::test {

// Vectors that lie in `rank` directions, the same whatever the seed, of which the k-th varies as
// 1 / k; and a little of all others. What embeddings are like, and codes of components are not.
inline Matrix LowRank(size_t rows, size_t dim, size_t rank, float noise, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Matrix directions(rank, dim);
  std::mt19937 direction_random(99);
  for (size_t k = 0; k < rank; ++k) {
    for (float& x : directions.row(k)) {
      x = normal(direction_random) / std::sqrt(static_cast<float>(dim * (k + 1)));
    }
  }
  Matrix out(rows, dim);
  for (size_t i = 0; i < rows; ++i) {
    for (float& x : out.row(i)) x = noise * normal(random);
    for (size_t k = 0; k < rank; ++k) {
      const float share = normal(random);
      for (size_t t = 0; t < dim; ++t) out.row(i)[t] += share * directions.row(k)[t];
    }
  }
  return out;
}

}  // namespace tessera::test

#endif  // TESSERA_TESTS_INDEX_LOW_RANK_H_
