#ifndef TESSERA_TESTS_INDEX_UNEVEN_H_
#define TESSERA_TESTS_INDEX_UNEVEN_H_

#include <cstddef>
#include <cstdint>
#include <random>

#include "index/base/matrix.h"

namespace tessera::test {

// Vectors of which every other one lies near a plane, with its neighbours in few lists, and the
// others vary in all directions.
inline Matrix Uneven(size_t rows, size_t dim, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Matrix out(rows, dim);
  for (size_t i = 0; i < rows; ++i) {
    const bool in_plane = i % 2 == 0;
    for (size_t t = 0; t < dim; ++t) {
      const float width = !in_plane ? 1.0f : t < 2 ? 3.0f : 0.03f;
      out.row(i)[t] = (in_plane ? 8.0f : 0.0f) + width * normal(random);
    }
  }
  return out;
}

}  // namespace tessera::test

#endif  // TESSERA_TESTS_INDEX_UNEVEN_H_
