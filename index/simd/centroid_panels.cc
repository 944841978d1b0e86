#include "index/simd/centroid_panels.h"

#include <algorithm>
#include <limits>

#include "index/base/memory_units.h"
#include "index/simd/dispatch_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/centroid_panels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using PanelFloat = hn::CappedTag<float, 16>;
using PanelInt = hn::RebindToSigned<PanelFloat>;

// Vectors that share the reading of a panel: their sums, two registers each, have to fit.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr size_t kTileRows = 8;
#else
constexpr size_t kTileRows = 6;
#endif

// The least costs so far of each row, lane by lane, and whose they are.
template <size_t kRows>
struct LaneMinima {
  hn::Vec<PanelFloat> cost[kRows];
  hn::Vec<PanelInt> place[kRows];
};

// Compares kRows rows with kVectors * Lanes centroids, whose columns of a panel begin at `columns`
// and whose places are `places` and those that follow.
template <size_t kVectors, size_t kRows>
HWY_INLINE void CompareRows(const float* HWY_RESTRICT columns, size_t dim,
                            const float* const (&rows)[kRows], hn::Vec<PanelInt> places,
                            LaneMinima<kRows>* minima) {
  const PanelFloat d;
  const PanelInt di;
  const size_t lanes = hn::Lanes(d);
  hn::Vec<PanelFloat> sums[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  const float* HWY_RESTRICT column = columns + kPanelCentroids;
  for (size_t t = 0; t < dim; ++t, column += kPanelCentroids) {
    hn::Vec<PanelFloat> values[kVectors];
    for (size_t v = 0; v < kVectors; ++v) values[v] = hn::Load(d, column + v * lanes);
    for (size_t r = 0; r < kRows; ++r) {
      const auto component = hn::Set(d, rows[r][t]);
      for (size_t v = 0; v < kVectors; ++v) {
        sums[r][v] = hn::MulAdd(component, values[v], sums[r][v]);
      }
    }
  }
  for (size_t v = 0; v < kVectors; ++v) {
    const auto half_norms = hn::Load(d, columns + v * lanes);
    for (size_t r = 0; r < kRows; ++r) {
      const auto cost = hn::Sub(half_norms, sums[r][v]);
      const auto less = hn::Lt(cost, minima->cost[r]);
      minima->cost[r] = hn::IfThenElse(less, cost, minima->cost[r]);
      minima->place[r] = hn::IfThenElse(hn::RebindMask(di, less), places, minima->place[r]);
    }
    places = hn::Add(places, hn::Set(di, static_cast<int32_t>(lanes)));
  }
}

// Folds the lanes of a row's minima into (best, index); the lowest place wins ties.
HWY_INLINE void FoldLanes(hn::Vec<PanelFloat> cost, hn::Vec<PanelInt> place, uint32_t base,
                          float* best, uint32_t* index) {
  const PanelFloat d;
  const PanelInt di;
  const float least = hn::GetLane(hn::MinOfLanes(d, cost));
  if (!(least < *best)) return;
  const auto is_least = hn::RebindMask(di, hn::Eq(cost, hn::Set(d, least)));
  const auto candidates = hn::IfThenElse(is_least, place, hn::Set(di, 0x7FFFFFFF));
  *best = least;
  *index = base + static_cast<uint32_t>(hn::GetLane(hn::MinOfLanes(di, candidates)));
}

// Always inlined: GCC drops calls of a function that does nothing but prefetch.
HWY_INLINE void FetchRow(const float* row, size_t dim) {
  constexpr size_t kLineFloats = kCacheLineBytes / sizeof(float);
  for (size_t t = 0; t < dim; t += kLineFloats) __builtin_prefetch(row + t);
}

// UpdateNearest for at most kRows rows.
template <size_t kRows>
HWY_INLINE void UpdateRows(const float* HWY_RESTRICT panels, size_t centroids, size_t dim,
                           const float* const* HWY_RESTRICT rows, size_t n, uint32_t base,
                           float* HWY_RESTRICT best, uint32_t* HWY_RESTRICT index) {
  const PanelFloat d;
  const PanelInt di;
  const size_t lanes = hn::Lanes(d);
  const float* some[kRows];
  LaneMinima<kRows> minima;
  for (size_t r = 0; r < kRows; ++r) {
    some[r] = rows[HWY_MIN(r, n - 1)];  // where they are fewer, the last one again, for nothing
    minima.cost[r] = hn::Inf(d);
    minima.place[r] = hn::Zero(di);
  }
  for (size_t c = 0; c < centroids;) {
    const float* columns = panels + c / kPanelCentroids * PanelFloats(dim) + c % kPanelCentroids;
    const auto places = hn::Iota(di, static_cast<int32_t>(c));
    if (centroids - c > lanes) {
      CompareRows<2>(columns, dim, some, places, &minima);
      c += 2 * lanes;
    } else {
      CompareRows<1>(columns, dim, some, places, &minima);
      c += lanes;
    }
  }
  for (size_t r = 0; r < n; ++r) {
    FoldLanes(minima.cost[r], minima.place[r], base, best + r, index + r);
  }
}

void UpdateNearest(const float* panels, size_t centroids, size_t dim, const float* const* rows,
                   size_t n, uint32_t base, float* best, uint32_t* index) {
  while (n > 0) {
    const size_t some = HWY_MIN(n, kTileRows);
    for (size_t next = some; next < HWY_MIN(2 * some, n); ++next) FetchRow(rows[next], dim);
    // A single vector is common, too: one that is written alone.
    if (some > 4) {
      UpdateRows<kTileRows>(panels, centroids, dim, rows, some, base, best, index);
    } else if (some > 1) {
      UpdateRows<4>(panels, centroids, dim, rows, some, base, best, index);
    } else {
      UpdateRows<1>(panels, centroids, dim, rows, some, base, best, index);
    }
    rows += some;
    best += some;
    index += some;
    n -= some;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {

HWY_EXPORT(UpdateNearest);

void PackPanels(MatrixView centroids, std::span<const uint32_t> ids, float* panels) {
  for (size_t i = 0; i < ids.size(); i += kPanelCentroids) {
    const size_t count = std::min(kPanelCentroids, ids.size() - i);
    // A place without a centroid costs infinitely much.
    std::fill_n(panels, kPanelCentroids, std::numeric_limits<float>::infinity());
    std::fill_n(panels + kPanelCentroids, centroids.cols * kPanelCentroids, 0.0f);
    for (size_t j = 0; j < count; ++j) {
      const std::span<const float> row = centroids.row(ids[i + j]);
      double norm = 0;
      for (size_t t = 0; t < row.size(); ++t) {
        panels[(t + 1) * kPanelCentroids + j] = row[t];
        norm += double{row[t]} * row[t];
      }
      panels[j] = static_cast<float>(0.5 * norm);
    }
    panels += PanelFloats(centroids.cols);
  }
}

void UpdateNearest(const float* panels, size_t centroids, size_t dim, const float* const* rows,
                   size_t n, uint32_t base, float* best, uint32_t* index) {
  HWY_DYNAMIC_DISPATCH(UpdateNearest)(panels, centroids, dim, rows, n, base, best, index);
}

}  // namespace tessera
#endif  // HWY_ONCE
