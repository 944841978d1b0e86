#ifndef TESSERA_INDEX_SIMD_CENTROID_PANELS_H_
#define TESSERA_INDEX_SIMD_CENTROID_PANELS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/base/matrix.h"

namespace tessera {

// Centroids packed to be compared with many vectors: panels of so many, the last one filled up. A
// panel holds half the squared norms, then component by component those of all its centroids: a
// kernel that keeps its sums in registers reads one stream.
inline constexpr size_t kPanelCentroids = 32;

constexpr size_t PanelsFor(size_t centroids) {
  return (centroids + kPanelCentroids - 1) / kPanelCentroids;
}
constexpr size_t PanelFloats(size_t dim) { return (dim + 1) * kPanelCentroids; }

// Packs the rows `ids` of `centroids` into PanelsFor(ids.size()) panels, which are 64-byte aligned.
void PackPanels(MatrixView centroids, std::span<const uint32_t> ids, float* panels);

// For each of n vectors at rows[i] and each centroid c of the panels, the cost is
// |c|^2 / 2 - <rows[i], c>, in the order of which centroids are near; where it is below best[i],
// best[i] becomes the cost and index[i] becomes base + the centroid's place. Of equal costs the
// lowest place wins, and an earlier call wins over a later one. A cost depends on the vector and
// the centroid alone, not on what is compared beside them; one that overflows to infinity or NaN
// changes nothing.
void UpdateNearest(const float* panels, size_t centroids, size_t dim, const float* const* rows,
                   size_t n, uint32_t base, float* best, uint32_t* index);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_CENTROID_PANELS_H_
