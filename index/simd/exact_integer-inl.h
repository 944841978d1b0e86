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
  HWY_INLINE V32 Lanes() const { return hn::Add(low, high); }
};

HWY_INLINE int32_t Total(V32 lanes) { return hn::GetLane(hn::SumOfLanes(D32(), lanes)); }

// The total of each of four.
HWY_INLINE void Totals(const V32 (&lanes)[4], int32_t* totals) {
#if HWY_TARGET <= HWY_AVX3
  __m256i half[4];
  for (int i = 0; i < 4; ++i) {
    half[i] = _mm256_add_epi32(_mm512_castsi512_si256(lanes[i].raw),
                               _mm512_extracti64x4_epi64(lanes[i].raw, 1));
  }
  const __m256i quarters =
      _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
  const __m128i sums =
      _mm_add_epi32(_mm256_castsi256_si128(quarters), _mm256_extracti128_si256(quarters, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(totals), sums);
#else
  for (int i = 0; i < 4; ++i) totals[i] = Total(lanes[i]);
#endif
}

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

#if HWY_TARGET == HWY_AVX3_DL

// vpdpbusd multiplies unsigned by signed bytes. With a byte b and its sign flipped b' = b - 128,
// the sum of (q - x)^2 is that of x x' - q x' - x q' + q q', of which the last is known beforehand.
// Partial sums may wrap around; the total fits.
template <bool kSigned>
struct IntegerL2 {
  __m512i squares, products;
  HWY_INLINE IntegerL2() : squares(_mm512_setzero_si512()), products(_mm512_setzero_si512()) {}
  HWY_INLINE void Add(V8 q, V8 x) {
    const V8 q_flipped = FlipSign(q), x_flipped = FlipSign(x);
    const __m512i q_unsigned = kSigned ? q_flipped.raw : q.raw;
    const __m512i x_unsigned = kSigned ? x_flipped.raw : x.raw;
    const __m512i q_signed = kSigned ? q.raw : q_flipped.raw;
    const __m512i x_signed = kSigned ? x.raw : x_flipped.raw;
    DotU8S8(squares, x_unsigned, x_signed);
    DotU8S8(products, q_unsigned, x_signed);
    DotU8S8(products, x_unsigned, q_signed);
  }
  HWY_INLINE V32 Lanes() const { return V32{_mm512_sub_epi32(squares, products)}; }
  HWY_INLINE static float Distance(int32_t total, const ExactQuery& query) {
    return static_cast<float>(total + query.integer_query_square);
  }
};

// Flipping the sign bit of the row gives it the kind that the query is not, at the price of 128
// times the sum of the query, known beforehand.
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
  HWY_INLINE V32 Lanes() const { return V32{sum}; }
  HWY_INLINE static int32_t Dot(int32_t total, const ExactQuery& query) {
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
  HWY_INLINE V32 Lanes() const {
    const __m512i scaled = _mm512_slli_epi32(components, 7);
    return V32{kSigned ? _mm512_sub_epi32(products, scaled) : _mm512_add_epi32(products, scaled)};
  }
};

#else

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
  HWY_INLINE V32 Lanes() const { return hn::Add(even.Lanes(), odd.Lanes()); }
  HWY_INLINE static float Distance(int32_t total, const ExactQuery&) {
    return static_cast<float>(total);
  }
};

template <bool kSigned>
struct IntegerDot {
  PairSum even, odd;
  HWY_INLINE IntegerDot() {}
  HWY_INLINE void Add(V8 q, V8 x) {
    even.Add(EvenBytes<kSigned>(q), EvenBytes<kSigned>(x));
    odd.Add(OddBytes<kSigned>(q), OddBytes<kSigned>(x));
  }
  HWY_INLINE V32 Lanes() const { return hn::Add(even.Lanes(), odd.Lanes()); }
  HWY_INLINE static int32_t Dot(int32_t total, const ExactQuery&) { return total; }
};

template <bool kSigned>
struct IntegerNorm2 {
  IntegerDot<kSigned> square;
  HWY_INLINE IntegerNorm2() {}
  HWY_INLINE void Add(V8 x) { square.Add(x, x); }
  HWY_INLINE V32 Lanes() const { return square.Lanes(); }
};

#endif  // HWY_TARGET == HWY_AVX3_DL

template <bool kSigned>
struct IntegerInnerProduct : IntegerDot<kSigned> {
  HWY_INLINE IntegerInnerProduct() {}
  HWY_INLINE static float Distance(int32_t total, const ExactQuery& query) {
    return 0.0f - static_cast<float>(IntegerDot<kSigned>::Dot(total, query));
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
  HWY_INLINE static float Distance(int32_t dot_total, int32_t norm2_total,
                                   const ExactQuery& query) {
    const double product = query.query_norm2 * norm2_total;
    if (product == 0) return 0;
    return static_cast<float>(0.0 -
                              IntegerDot<kSigned>::Dot(dot_total, query) / std::sqrt(product));
  }
};

// The query of a call, to sum rows against.
class IntegerRowSums {
 public:
  explicit IntegerRowSums(const ExactQuery& query)
      : query_(query.integer_query), tail_(D8(), query.dim) {
    tail_.PlaceQuery(query_, query_tail_);
  }

  // Several rows share what is done to the query, and none waits for its own last sum.
  template <class Sums, size_t kRows>
  HWY_INLINE void Add(const std::byte* const (&rows)[kRows], Sums (&sums)[kRows]) const {
    const D8 d;
    const size_t whole = tail_.whole();
    for (size_t i = 0; i < whole; i += hn::Lanes(d)) {
      const V8 q = hn::LoadU(d, query_ + i);
      for (size_t j = 0; j < kRows; ++j) sums[j].Add(q, hn::LoadU(d, Bytes(rows[j]) + i));
    }
    if (tail_.empty()) return;
    const V8 q = hn::Load(d, query_tail_);
    for (size_t j = 0; j < kRows; ++j) sums[j].Add(q, tail_.Load(d, Bytes(rows[j])));
  }

 private:
  static HWY_INLINE const uint8_t* Bytes(const std::byte* row) {
    return reinterpret_cast<const uint8_t*>(row);
  }

  const uint8_t* HWY_RESTRICT query_;
  RowTail<D8> tail_;
  HWY_ALIGN uint8_t query_tail_[hn::MaxLanes(D8())];
};

template <class Sums>
void ScoreIntegerRows(const ExactQuery& query, const Rows& rows, float* distances) {
  const IntegerRowSums row_sums(query);
  const auto four = [&](size_t i, const std::byte* const(&some)[4]) HWY_ATTR {
    Sums sums[4];
    row_sums.Add(some, sums);
    int32_t totals[4];
    Totals({sums[0].Lanes(), sums[1].Lanes(), sums[2].Lanes(), sums[3].Lanes()}, totals);
    for (int j = 0; j < 4; ++j) distances[i + j] = Sums::Distance(totals[j], query);
  };
  ForEachRows<4>(rows, four, [&](size_t i, const std::byte* row) HWY_ATTR {
    Sums sums[1];
    row_sums.Add({row}, sums);
    distances[i] = Sums::Distance(Total(sums[0].Lanes()), query);
  });
}

template <bool kSigned>
void ScoreIntegerCosine(const ExactQuery& query, const Rows& rows, float* distances) {
  using Sums = IntegerCosine<kSigned>;
  const IntegerRowSums row_sums(query);
  const auto four = [&](size_t i, const std::byte* const(&some)[4]) HWY_ATTR {
    Sums sums[4];
    row_sums.Add(some, sums);
    int32_t dots[4], norms2[4];
    Totals({sums[0].dot.Lanes(), sums[1].dot.Lanes(), sums[2].dot.Lanes(), sums[3].dot.Lanes()},
           dots);
    Totals({sums[0].norm2.Lanes(), sums[1].norm2.Lanes(), sums[2].norm2.Lanes(),
            sums[3].norm2.Lanes()},
           norms2);
    for (int j = 0; j < 4; ++j) distances[i + j] = Sums::Distance(dots[j], norms2[j], query);
  };
  const auto one = [&](size_t i, const std::byte* row) HWY_ATTR {
    Sums sums[1];
    row_sums.Add({row}, sums);
    distances[i] = Sums::Distance(Total(sums[0].dot.Lanes()), Total(sums[0].norm2.Lanes()), query);
  };
  // The sums of four rows fill the registers that other targets have.
  if constexpr (HWY_TARGET <= HWY_AVX3) {
    ForEachRows<4>(rows, four, one);
  } else {
    ForEachRow(rows, one);
  }
}

template <bool kSigned>
void ScoreInteger(const ExactQuery& query, const Rows& rows, float* distances) {
  switch (query.metric) {
    case Metric::kL2:
      return ScoreIntegerRows<IntegerL2<kSigned>>(query, rows, distances);
    case Metric::kInnerProduct:
      return ScoreIntegerRows<IntegerInnerProduct<kSigned>>(query, rows, distances);
    case Metric::kCosine:
      return ScoreIntegerCosine<kSigned>(query, rows, distances);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // include guard, once per target
