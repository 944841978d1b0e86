// Distances in integers between a query and rows that both have 8-bit components. Included once
// per target by exact.cc.
//
// Nothing overflows a signed 32-bit lane, in any order of summation, up to kDimensionMax = 2^15
// components: the largest products are 255 * 255, and 2^15 of them are 2,130,739,200 < 2^31. Where
// a bias enters (below), each product stays under 2^15 in magnitude and the sum under 2^30.

#if defined(TESSERA_INDEX_SIMD_EXACT_INTEGER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_EXACT_INTEGER_INL_H_
#undef TESSERA_INDEX_SIMD_EXACT_INTEGER_INL_H_
#else
#define TESSERA_INDEX_SIMD_EXACT_INTEGER_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "index/base/limits.h"
#include "index/simd/exact_query.h"
#include "index/simd/row_access-inl.h"
#include "index/simd/rows.h"
#include "index/simd/vnni-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

static_assert(255ll * 255 * limits::kDimensionMax <= INT32_MAX);

using D8 = hn::ScalableTag<uint8_t>;
using D16 = hn::Repartition<int16_t, D8>;
using D32 = hn::Repartition<int32_t, D8>;
using V8 = hn::Vec<D8>;
using V16 = hn::Vec<D16>;
using V32 = hn::Vec<D32>;

// A sum of products of 16-bit lanes. Highway needs two registers for it on some targets.
struct PairSum {
  V32 low, high;
  HWY_INLINE PairSum() : low(hn::Zero(D32())), high(hn::Zero(D32())) {}
  HWY_INLINE void Add(V16 a, V16 b) {
#if HWY_TARGET == HWY_AVX3_DL
    DotS16(low.raw, a.raw, b.raw);
#else
    low = hn::ReorderWidenMulAccumulate(D32(), a, b, low, high);
#endif
  }
  HWY_INLINE void Merge(const PairSum& other) {
    low = hn::Add(low, other.low);
    high = hn::Add(high, other.high);
  }
  HWY_INLINE int32_t Total() const {
    return hn::GetLane(hn::SumOfLanes(D32(), hn::Add(low, high)));
  }
};

// The even and the odd bytes of v, widened to 16 bits.
template <bool kSigned>
HWY_INLINE V16 EvenBytes(V8 v) {
  const D16 d16;
  if constexpr (kSigned) return hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(d16, v)));
  return hn::And(hn::BitCast(d16, v), hn::Set(d16, 0xFF));
}
template <bool kSigned>
HWY_INLINE V16 OddBytes(V8 v) {
  const D16 d16;
  if constexpr (kSigned) return hn::ShiftRight<8>(hn::BitCast(d16, v));
  return hn::BitCast(d16, hn::ShiftRight<8>(hn::BitCast(hn::RebindToUnsigned<D16>(), v)));
}

// Maps int8 to uint8 in order: x + 128. The same bits read as the other way round: uint8 - 128.
HWY_INLINE V8 FlipSign(V8 v) { return hn::Xor(v, hn::Set(D8(), 0x80)); }

template <bool kSigned>
struct IntegerL2 {
  PairSum even, odd;
  HWY_INLINE IntegerL2() {}
  HWY_INLINE void Add(V8 q, V8 x) {
    if constexpr (kSigned) {
      q = FlipSign(q);
      x = FlipSign(x);
    }
    const V8 difference = hn::Or(hn::SaturatedSub(q, x), hn::SaturatedSub(x, q));
    const V16 low = EvenBytes<false>(difference);
    const V16 high = OddBytes<false>(difference);
    even.Add(low, low);
    odd.Add(high, high);
  }
  HWY_INLINE void Merge(const IntegerL2& other) {
    even.Merge(other.even);
    odd.Merge(other.odd);
  }
  HWY_INLINE float Distance(const ExactQuery&) {
    even.Merge(odd);
    return static_cast<float>(even.Total());
  }
};

#if HWY_TARGET == HWY_AVX3_DL

// vpdpbusd multiplies unsigned by signed bytes. Flipping the sign bit of the row gives it the kind
// that the query is not, at the price of 128 times the sum of the query, known beforehand.
template <bool kSigned>
struct IntegerDot {
  __m512i sum;
  HWY_INLINE IntegerDot() : sum(_mm512_setzero_si512()) {}
  HWY_INLINE void Add(V8 q, V8 x) {
    if constexpr (kSigned) {
      DotU8S8(sum, FlipSign(x).raw, q.raw);
    } else {
      DotU8S8(sum, q.raw, FlipSign(x).raw);
    }
  }
  HWY_INLINE void Merge(const IntegerDot& other) { sum = _mm512_add_epi32(sum, other.sum); }
  HWY_INLINE int32_t Dot(const ExactQuery& query) const {
    const int32_t total = hn::GetLane(hn::SumOfLanes(D32(), V32{sum}));
    return kSigned ? total - 128 * query.integer_query_sum : total + 128 * query.integer_query_sum;
  }
};

// |x|^2 the same way: x times x with its sign bit flipped, and 128 times the sum of x.
template <bool kSigned>
struct IntegerNorm2 {
  __m512i products, components;
  HWY_INLINE IntegerNorm2()
      : products(_mm512_setzero_si512()), components(_mm512_setzero_si512()) {}
  HWY_INLINE void Add(V8 x) {
    const __m512i ones = _mm512_set1_epi8(1);
    if constexpr (kSigned) {
      DotU8S8(products, FlipSign(x).raw, x.raw);
      DotU8S8(components, ones, x.raw);
    } else {
      DotU8S8(products, x.raw, FlipSign(x).raw);
      DotU8S8(components, x.raw, ones);
    }
  }
  HWY_INLINE void Merge(const IntegerNorm2& other) {
    products = _mm512_add_epi32(products, other.products);
    components = _mm512_add_epi32(components, other.components);
  }
  HWY_INLINE int32_t Total() const {
    const __m512i scaled = _mm512_slli_epi32(components, 7);
    const __m512i lanes =
        kSigned ? _mm512_sub_epi32(products, scaled) : _mm512_add_epi32(products, scaled);
    return hn::GetLane(hn::SumOfLanes(D32(), V32{lanes}));
  }
};

#else

template <bool kSigned>
struct IntegerDot {
  PairSum even, odd;
  HWY_INLINE IntegerDot() {}
  HWY_INLINE void Add(V8 q, V8 x) {
    even.Add(EvenBytes<kSigned>(q), EvenBytes<kSigned>(x));
    odd.Add(OddBytes<kSigned>(q), OddBytes<kSigned>(x));
  }
  HWY_INLINE void Merge(const IntegerDot& other) {
    even.Merge(other.even);
    odd.Merge(other.odd);
  }
  HWY_INLINE int32_t Dot(const ExactQuery&) const {
    PairSum total = even;
    total.Merge(odd);
    return total.Total();
  }
};

template <bool kSigned>
struct IntegerNorm2 {
  IntegerDot<kSigned> square;
  HWY_INLINE IntegerNorm2() {}
  HWY_INLINE void Add(V8 x) { square.Add(x, x); }
  HWY_INLINE void Merge(const IntegerNorm2& other) { square.Merge(other.square); }
  HWY_INLINE int32_t Total() const { return square.Dot(ExactQuery{}); }
};

#endif  // HWY_TARGET == HWY_AVX3_DL

template <bool kSigned>
struct IntegerInnerProduct : IntegerDot<kSigned> {
  HWY_INLINE IntegerInnerProduct() {}
  HWY_INLINE float Distance(const ExactQuery& query) const {
    return 0.0f - static_cast<float>(this->Dot(query));
  }
};

template <bool kSigned>
struct IntegerCosine {
  IntegerDot<kSigned> dot;
  IntegerNorm2<kSigned> norm2;
  HWY_INLINE IntegerCosine() {}
  HWY_INLINE void Add(V8 q, V8 x) {
    dot.Add(q, x);
    norm2.Add(x);
  }
  HWY_INLINE void Merge(const IntegerCosine& other) {
    dot.Merge(other.dot);
    norm2.Merge(other.norm2);
  }
  HWY_INLINE float Distance(const ExactQuery& query) const {
    const double product = query.query_norm2 * norm2.Total();
    if (product == 0) return 0;
    return static_cast<float>(0.0 - dot.Dot(query) / std::sqrt(product));
  }
};

template <class Sums>
HWY_INLINE Sums SumIntegerRow(const uint8_t* HWY_RESTRICT query,
                              const uint8_t* HWY_RESTRICT query_tail, const RowTail<D8>& tail,
                              const uint8_t* HWY_RESTRICT row) {
  const D8 d;
  const size_t lanes = hn::Lanes(d);
  Sums a, b;
  const auto add = [&](Sums& sums, size_t i)
                       HWY_ATTR { sums.Add(hn::LoadU(d, query + i), hn::LoadU(d, row + i)); };
  const size_t whole = tail.whole();
  size_t i = 0;
  for (; i + 2 * lanes <= whole; i += 2 * lanes) {
    add(a, i);
    add(b, i + lanes);
  }
  if (i < whole) add(a, i);
  if (!tail.empty()) b.Add(hn::Load(d, query_tail), tail.Load(d, row));
  a.Merge(b);
  return a;
}

template <class Sums>
void ScoreIntegerRows(const ExactQuery& query, const Rows& rows, float* distances) {
  const RowTail<D8> tail(D8(), query.dim);
  HWY_ALIGN uint8_t query_tail[hn::MaxLanes(D8())];
  tail.PlaceQuery(query.integer_query, query_tail);
  ForEachRow(rows, [&](size_t i, const std::byte* row) HWY_ATTR {
    Sums sums = SumIntegerRow<Sums>(query.integer_query, query_tail, tail,
                                    reinterpret_cast<const uint8_t*>(row));
    distances[i] = sums.Distance(query);
  });
}

template <bool kSigned>
void ScoreInteger(const ExactQuery& query, const Rows& rows, float* distances) {
  switch (query.metric) {
    case Metric::kL2:
      return ScoreIntegerRows<IntegerL2<kSigned>>(query, rows, distances);
    case Metric::kInnerProduct:
      return ScoreIntegerRows<IntegerInnerProduct<kSigned>>(query, rows, distances);
    case Metric::kCosine:
      return ScoreIntegerRows<IntegerCosine<kSigned>>(query, rows, distances);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // include guard, once per target
