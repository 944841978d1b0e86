#ifndef TESSERA_TESTS_INDEX_CLUSTER_POINTS_H_
#define TESSERA_TESTS_INDEX_CLUSTER_POINTS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/base/matrix.h"
#include "index/cluster/random.h"

namespace tessera {

// n points, uniform in the unit cube; the same for the same seed.
inline Matrix Uniform(size_t n, size_t dim, uint64_t seed) {
  Random random(seed);
  Matrix points(n, dim);
  for (size_t i = 0; i < n * dim; ++i) points.data()[i] = static_cast<float>(random.Uniform());
  return points;
}

// In double precision, component by component.
inline double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t t = 0; t < a.size(); ++t) sum += (double{a[t]} - b[t]) * (double{a[t]} - b[t]);
  return sum;
}

}  // namespace tessera

#endif  // TESSERA_TESTS_INDEX_CLUSTER_POINTS_H_
