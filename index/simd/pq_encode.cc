#include "index/simd/pq_encode.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/pq_encode.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Four vectors of points at once: the broadcast of a codeword's component serves all four, and four
// independent sums hide the latency of the multiply-add. Vectors are capped at a quarter block.
using PqFloat = hn::CappedTag<float, kPqBlock / 4>;

void NearestCodewords(const float* HWY_RESTRICT block, size_t dim,
                      const float* HWY_RESTRICT codewords, const float* HWY_RESTRICT half_norms,
                      size_t count, uint8_t* HWY_RESTRICT code, float* HWY_RESTRICT cost) {
  const PqFloat d;
  const hn::RebindToSigned<PqFloat> di;
  const hn::Rebind<uint8_t, PqFloat> d8;
  const size_t lanes = hn::Lanes(d);
  for (size_t i = 0; i < kPqBlock; i += 4 * lanes) {
    const float* HWY_RESTRICT points = block + i;
    auto best0 = hn::Set(d, 3.4e38f), best1 = best0, best2 = best0, best3 = best0;
    auto at0 = hn::Zero(di), at1 = at0, at2 = at0, at3 = at0;
    for (size_t j = 0; j < count; ++j) {
      auto sum0 = hn::Set(d, half_norms[j]);
      auto sum1 = sum0, sum2 = sum0, sum3 = sum0;
      const float* HWY_RESTRICT word = codewords + j * dim;
      for (size_t t = 0; t < dim; ++t) {
        const auto w = hn::Set(d, word[t]);
        const float* HWY_RESTRICT p = points + t * kPqBlock;
        sum0 = hn::NegMulAdd(w, hn::LoadU(d, p), sum0);
        sum1 = hn::NegMulAdd(w, hn::LoadU(d, p + lanes), sum1);
        sum2 = hn::NegMulAdd(w, hn::LoadU(d, p + 2 * lanes), sum2);
        sum3 = hn::NegMulAdd(w, hn::LoadU(d, p + 3 * lanes), sum3);
      }
      const auto number = hn::Set(di, static_cast<int32_t>(j));
      at0 = hn::IfThenElse(hn::RebindMask(di, hn::Lt(sum0, best0)), number, at0);
      at1 = hn::IfThenElse(hn::RebindMask(di, hn::Lt(sum1, best1)), number, at1);
      at2 = hn::IfThenElse(hn::RebindMask(di, hn::Lt(sum2, best2)), number, at2);
      at3 = hn::IfThenElse(hn::RebindMask(di, hn::Lt(sum3, best3)), number, at3);
      best0 = hn::Min(sum0, best0);
      best1 = hn::Min(sum1, best1);
      best2 = hn::Min(sum2, best2);
      best3 = hn::Min(sum3, best3);
    }
    hn::StoreU(best0, d, cost + i);
    hn::StoreU(best1, d, cost + i + lanes);
    hn::StoreU(best2, d, cost + i + 2 * lanes);
    hn::StoreU(best3, d, cost + i + 3 * lanes);
    hn::StoreU(hn::DemoteTo(d8, at0), d8, code + i);
    hn::StoreU(hn::DemoteTo(d8, at1), d8, code + i + lanes);
    hn::StoreU(hn::DemoteTo(d8, at2), d8, code + i + 2 * lanes);
    hn::StoreU(hn::DemoteTo(d8, at3), d8, code + i + 3 * lanes);
  }
}

// Sums term(a, b, sum) over whole vectors, four sums at once; the caller adds the tail.
template <class Term>
float SumTerms(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, size_t n, Term term) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum0 = term(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
    sum1 = term(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), sum1);
    sum2 = term(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), sum2);
    sum3 = term(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), sum3);
  }
  for (; i + lanes <= n; i += lanes) {
    sum0 = term(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
  }
  sum0 = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  return hn::GetLane(hn::SumOfLanes(d, sum0));
}

float FloatDotProduct(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, size_t n) {
  const hn::ScalableTag<float> d;
  float sum = SumTerms(a, b, n, [](auto x, auto y, auto s) { return hn::MulAdd(x, y, s); });
  for (size_t i = n / hn::Lanes(d) * hn::Lanes(d); i < n; ++i) sum += a[i] * b[i];
  return sum;
}

float FloatSquaredDistance(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, size_t n) {
  const hn::ScalableTag<float> d;
  float sum = SumTerms(a, b, n, [](auto x, auto y, auto s) {
    const auto difference = hn::Sub(x, y);
    return hn::MulAdd(difference, difference, s);
  });
  for (size_t i = n / hn::Lanes(d) * hn::Lanes(d); i < n; ++i) {
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {

HWY_EXPORT(NearestCodewords);
HWY_EXPORT(FloatDotProduct);
HWY_EXPORT(FloatSquaredDistance);

void NearestCodewords(const float* block, size_t dim, const float* codewords,
                      const float* half_norms, size_t count, uint8_t* code, float* cost) {
  HWY_DYNAMIC_DISPATCH(NearestCodewords)(block, dim, codewords, half_norms, count, code, cost);
}

void TransposeToBlock(const float* rows_data, size_t rows, size_t stride, size_t dim,
                      float* block) {
  for (size_t t = 0; t < dim; ++t) {
    float* out = block + t * kPqBlock;
    for (size_t i = 0; i < rows; ++i) out[i] = rows_data[i * stride + t];
    std::fill(out + rows, out + kPqBlock, 0.0f);
  }
}

float FloatDotProduct(const float* a, const float* b, size_t n) {
  return HWY_DYNAMIC_DISPATCH(FloatDotProduct)(a, b, n);
}

float FloatSquaredDistance(const float* a, const float* b, size_t n) {
  return HWY_DYNAMIC_DISPATCH(FloatSquaredDistance)(a, b, n);
}

}  // namespace tessera
#endif  // HWY_ONCE
