// Distances in float between a query of floats and rows of any element type. Included once per
// target by exact.cc.

#if defined(TESSERA_INDEX_SIMD_EXACT_FLOAT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_EXACT_FLOAT_INL_H_
#undef TESSERA_INDEX_SIMD_EXACT_FLOAT_INL_H_
#else
#define TESSERA_INDEX_SIMD_EXACT_FLOAT_INL_H_
#endif

#include <cmath>
#include <cstddef>

#include "hwy/highway.h"
#include "index/simd/element-inl.h"
#include "index/simd/exact_query.h"
#include "index/simd/reference.h"
#include "index/simd/row_access-inl.h"
#include "index/simd/rows.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Each sums one metric over the components of one row: Add a vector of components, Merge the sums
// of another part of the row, Distance once all are in. Constructors are spelt out because implicit
// ones lack the attributes of the target.

struct FloatL2 {
  VF sum;
  HWY_INLINE FloatL2() : sum(hn::Zero(DF())) {}
  HWY_INLINE void Add(VF q, VF x) {
    const VF difference = hn::Sub(q, x);
    sum = hn::MulAdd(difference, difference, sum);
  }
  HWY_INLINE void Merge(const FloatL2& other) { sum = hn::Add(sum, other.sum); }
  // False where float overflowed or lost too much to underflow.
  HWY_INLINE bool Distance(const ExactQuery&, float* distance) const {
    *distance = hn::GetLane(hn::SumOfLanes(DF(), sum));
    return std::isfinite(*distance);
  }
};

struct FloatDot {
  VF sum;
  HWY_INLINE FloatDot() : sum(hn::Zero(DF())) {}
  HWY_INLINE void Add(VF q, VF x) { sum = hn::MulAdd(q, x, sum); }
  HWY_INLINE void Merge(const FloatDot& other) { sum = hn::Add(sum, other.sum); }
  HWY_INLINE bool Distance(const ExactQuery&, float* distance) const {
    *distance = 0.0f - hn::GetLane(hn::SumOfLanes(DF(), sum));
    return std::isfinite(*distance);
  }
};

struct FloatCosine {
  VF dot, norm2;
  HWY_INLINE FloatCosine() : dot(hn::Zero(DF())), norm2(hn::Zero(DF())) {}
  HWY_INLINE void Add(VF q, VF x) {
    dot = hn::MulAdd(q, x, dot);
    norm2 = hn::MulAdd(x, x, norm2);
  }
  HWY_INLINE void Merge(const FloatCosine& other) {
    dot = hn::Add(dot, other.dot);
    norm2 = hn::Add(norm2, other.norm2);
  }
  HWY_INLINE bool Distance(const ExactQuery& query, float* distance) const {
    // Below this the squares of components have lost bits to underflow, or the row is zero.
    constexpr float kNorm2Min = 1e-25f;
    const float total_norm2 = hn::GetLane(hn::SumOfLanes(DF(), norm2));
    const double total_dot = hn::GetLane(hn::SumOfLanes(DF(), dot));
    const double product = query.query_norm2 * static_cast<double>(total_norm2);
    if (!(query.query_norm2 > kNorm2Min && total_norm2 > kNorm2Min)) return false;
    *distance = static_cast<float>(0.0 - total_dot / std::sqrt(product));
    return std::isfinite(*distance) && std::isfinite(total_norm2);
  }
};

// The sums of one row. Four of them in turn, so that one addition need not wait for the last.
template <class Element, class Sums>
HWY_INLINE Sums SumFloatRow(const float* HWY_RESTRICT query, const float* HWY_RESTRICT query_tail,
                            const RowTail<typename Element::DStored>& tail,
                            const typename Element::Stored* HWY_RESTRICT row) {
  const DF df;
  const typename Element::DStored d;
  const size_t lanes = hn::Lanes(df);
  Sums a, b, c, e;
  const auto add = [&](Sums& sums, size_t i) HWY_ATTR {
    sums.Add(hn::LoadU(df, query + i), Element::Widen(hn::LoadU(d, row + i)));
  };
  const size_t whole = tail.whole();
  size_t i = 0;
  for (; i + 4 * lanes <= whole; i += 4 * lanes) {
    add(a, i);
    add(b, i + lanes);
    add(c, i + 2 * lanes);
    add(e, i + 3 * lanes);
  }
  if (i + 2 * lanes <= whole) {
    add(a, i);
    add(b, i + lanes);
    i += 2 * lanes;
  }
  if (i < whole) add(c, i);
  if (!tail.empty()) e.Add(hn::Load(df, query_tail), Element::Widen(tail.Load(d, row)));
  a.Merge(b);
  c.Merge(e);
  a.Merge(c);
  return a;
}

template <class Element, class Sums>
void ScoreFloatRows(const ExactQuery& query, const Rows& rows, float* distances) {
  using Stored = typename Element::Stored;
  const RowTail<typename Element::DStored> tail(typename Element::DStored(), query.dim);
  HWY_ALIGN float query_tail[hn::MaxLanes(DF())];
  tail.PlaceQuery(query.query, query_tail);
  ForEachRow(rows, [&](size_t i, const std::byte* row) HWY_ATTR {
    const Sums sums = SumFloatRow<Element, Sums>(query.query, query_tail, tail,
                                                 reinterpret_cast<const Stored*>(row));
    if (HWY_UNLIKELY(!sums.Distance(query, &distances[i]))) {
      distances[i] =
          reference::ExactDistance(query.metric, query.type, {query.query, query.dim}, row);
    }
  });
}

template <class Element>
void ScoreFloat(const ExactQuery& query, const Rows& rows, float* distances) {
  switch (query.metric) {
    case Metric::kL2:
      return ScoreFloatRows<Element, FloatL2>(query, rows, distances);
    case Metric::kInnerProduct:
      return ScoreFloatRows<Element, FloatDot>(query, rows, distances);
    case Metric::kCosine:
      return ScoreFloatRows<Element, FloatCosine>(query, rows, distances);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // include guard, once per target
