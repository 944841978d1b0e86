// Walking over rows with prefetch, and over one row without reading past its end. Included once per
// target.

#if defined(TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_
#undef TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_
#else
#define TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_
#endif

#include <cstddef>
#include <cstring>

#include "hwy/highway.h"
#include "index/simd/rows.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls body(i, row) for every row in turn, with the rows ahead on their way.
template <class Body>
HWY_INLINE void ForEachRow(const Rows& rows, const Body& body) {
  const size_t count = rows.count();
  const size_t ahead = rows.PrefetchDistance();
  for (size_t i = 0; i < ahead; ++i) rows.Prefetch(i);
  size_t i = 0;
  if (ahead > 0) {
    for (; i + ahead < count; ++i) {
      rows.Prefetch(i + ahead);
      body(i, rows[i]);
    }
  }
  for (; i < count; ++i) body(i, rows[i]);
}

// Splits rows of `dim` elements (the lanes of D) into whole vectors and a tail. With AVX-512 the
// tail is a masked load. Elsewhere it is the row's last whole vector with those lanes zeroed that
// the whole vectors have covered already, or a copy if the row is shorter than one vector. Lanes
// that are not of the tail are zero in what Load and PlaceQuery give, so that they cancel.
template <class D>
class RowTail {
  using T = hn::TFromD<D>;
  using Mask = hn::Mask<D>;

 public:
  RowTail(D d, size_t dim)
      : dim_(dim),
        lanes_(hn::Lanes(d)),
        size_(dim % lanes_),
        overlaps_(!kMaskedLoads && dim >= lanes_),
        first_lane_(overlaps_ ? lanes_ - size_ : 0),
        mask_(overlaps_ ? hn::Not(hn::FirstN(d, first_lane_)) : hn::FirstN(d, size_)) {}

  size_t whole() const { return dim_ - size_; }  // elements that whole vectors cover
  bool empty() const { return size_ == 0; }

  // Puts the query's tail into the lanes in which Load gives the row's; `lanes` has Lanes(d).
  template <class TQuery>
  void PlaceQuery(const TQuery* query, TQuery* lanes) const {
    std::memset(lanes, 0, lanes_ * sizeof(TQuery));
    std::memcpy(lanes + first_lane_, query + whole(), size_ * sizeof(TQuery));
  }

  HWY_INLINE hn::Vec<D> Load(D d, const T* row) const {
    if constexpr (kMaskedLoads) return hn::MaskedLoad(mask_, d, row + whole());
    if (HWY_LIKELY(overlaps_)) {
      return hn::IfThenElseZero(mask_, hn::LoadU(d, row + dim_ - lanes_));
    }
    HWY_ALIGN T copy[hn::MaxLanes(D())] = {};
    std::memcpy(copy, row, size_ * sizeof(T));
    return hn::Load(d, copy);
  }

 private:
  // Highway's MaskedLoad reads all lanes on other targets.
  static constexpr bool kMaskedLoads = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3;

  size_t dim_;
  size_t lanes_;
  size_t size_;
  bool overlaps_;
  size_t first_lane_;
  Mask mask_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // include guard, once per target
