// Walking over rows with prefetch, and over one row without reading past its end. Included once per
// target.

#if defined(TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_
#undef TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_
#else
#define TESSERA_INDEX_SIMD_ROW_ACCESS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "index/base/memory_units.h"
#include "index/base/prefetch.h"
#include "index/simd/rows.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Which rows ahead to fetch, and how much of each.
struct PrefetchPlan {
  // Gathered rows: more lines than a core can have under way, so that it never idles.
  static constexpr size_t kGatheredBytesAhead = 64 * kCacheLineBytes;
  // Contiguous rows: the hardware foresees them, but with 64-byte loads not far enough. Short rows
  // gain less than the instructions cost.
  static constexpr size_t kContiguousBytesAhead = 32 * kCacheLineBytes;
  static constexpr size_t kContiguousRowBytesMin = 256;
  // Of a long row only the first lines: the hardware streams the rest.
  static constexpr size_t kPrefetchBytesPerRow = 16 * kCacheLineBytes;

  explicit PrefetchPlan(const Rows& rows) : bytes(HWY_MIN(rows.row_bytes(), kPrefetchBytesPerRow)) {
    if (rows.gathered()) {
      distance = HWY_MAX(kGatheredBytesAhead / bytes, size_t{1});
    } else if (rows.row_bytes() >= kContiguousRowBytesMin) {
      distance = HWY_MAX(kContiguousBytesAhead / bytes, size_t{1});
    }
  }

  // Always inlined: GCC drops calls of a function that does nothing but prefetch.
  HWY_INLINE void Fetch(const std::byte* row) const {
    // Rows need no alignment, so they may begin and end within a line.
    const std::byte* const end = row + bytes;
    const size_t before = reinterpret_cast<uintptr_t>(row) % kCacheLineBytes;
    for (const std::byte* line = row - before; line < end; line += kCacheLineBytes) {
      PrefetchFar(line);
    }
  }

  size_t bytes;         // of each row
  size_t distance = 0;  // rows ahead; 0: fetch nothing
};

// Calls body(i, rows) for kTogether rows from row i on, or one(i, row) for each of the rest, with
// the rows ahead on their way.
template <size_t kTogether, class Body, class One>
HWY_INLINE void ForEachRows(const Rows& rows, const Body& body, const One& one) {
  const PrefetchPlan plan(rows);
  const size_t count = rows.count();
  const size_t first = HWY_MIN(plan.distance, count);
  for (size_t i = 0; i < first; ++i) plan.Fetch(rows[i]);
  const size_t fetch_end = plan.distance > 0 ? count - first : 0;
  size_t i = 0;
  for (; i + kTogether <= count; i += kTogether) {
    for (size_t j = i; j < HWY_MIN(i + kTogether, fetch_end); ++j) plan.Fetch(rows[j + first]);
    const std::byte* some[kTogether];
    for (size_t j = 0; j < kTogether; ++j) some[j] = rows[i + j];
    body(i, some);
  }
  for (; i < count; ++i) one(i, rows[i]);
}

// Calls body(i, row) for every row in turn, with the rows ahead on their way.
template <class Body>
HWY_INLINE void ForEachRow(const Rows& rows, const Body& body) {
  const auto of_one = [&](size_t i, const std::byte* const(&row)[1]) HWY_ATTR { body(i, row[0]); };
  ForEachRows<1>(rows, of_one, body);
}

// Splits rows of `dim` elements (the lanes of D) into whole vectors and a tail. Where
// the processor has masked loads the tail is one. Elsewhere it is the row's last whole vector with
// those lanes zeroed that the whole vectors have covered already, or a copy if the row is shorter
// than one vector. Lanes that are not of the tail are zero in what Load and PlaceQuery give, so
// that they cancel.
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
  // Highway's MaskedLoad reads all lanes elsewhere.
  static constexpr bool kMaskedLoads =
      HWY_ARCH_X86 &&
      (HWY_TARGET <= HWY_AVX3 || (HWY_TARGET == HWY_AVX2 && sizeof(hn::TFromD<D>) == 4));

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
