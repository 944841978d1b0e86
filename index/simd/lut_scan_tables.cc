#include "index/simd/lut_scan_tables.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/lut_scan_tables.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Products of one table: out[e] = factor * <query, codeword e>; returns the least, and the range.
HWY_INLINE float Products(const float* HWY_RESTRICT codewords, size_t entries, size_t dim,
                          const float* HWY_RESTRICT query, float factor, float* HWY_RESTRICT out,
                          float* range) {
  const hn::CappedTag<float, 16> d;
  auto least = hn::Set(d, 3.0e38f);
  auto most = hn::Set(d, -3.0e38f);
  for (size_t e = 0; e < entries; e += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (size_t i = 0; i < dim; ++i) {
      sum =
          hn::MulAdd(hn::Set(d, query[i] * factor), hn::Load(d, codewords + i * entries + e), sum);
    }
    hn::Store(sum, d, out + e);
    least = hn::Min(least, sum);
    most = hn::Max(most, sum);
  }
  const float bottom = hn::GetLane(hn::MinOfLanes(d, least));
  *range = hn::GetLane(hn::MaxOfLanes(d, most)) - bottom;
  return bottom;
}

void BuildTables(const LutScanShape& shape, size_t dim, const float* HWY_RESTRICT codewords,
                 const float* HWY_RESTRICT query, float factor, uint8_t* HWY_RESTRICT tables,
                 float* scale, float* offset, float* HWY_RESTRICT scratch) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  const size_t entries = shape.table_entries();
  const size_t m = shape.subquantizers;
  float range_max = 0, bottoms = 0;
  for (size_t j = 0; j < m; ++j) {
    float range;
    float* out = scratch + j * entries;
    const float bottom =
        Products(codewords + j * dim * entries, entries, dim, query + j * dim, factor, out, &range);
    for (size_t e = 0; e < entries; e += hn::Lanes(d)) {
      hn::Store(hn::Sub(hn::Load(d, out + e), hn::Set(d, bottom)), d, out + e);
    }
    range_max = HWY_MAX(range_max, range);
    bottoms += bottom;
  }
  *scale = range_max > 0 ? range_max / 255 : 1;
  *offset = bottoms;
  const auto inverse = hn::Set(d, 1 / *scale);
  for (size_t e = 0; e < m * entries; e += hn::Lanes(d)) {
    const auto step = hn::NearestInt(hn::Mul(hn::Load(d, scratch + e), inverse));
    hn::StoreU(hn::DemoteTo(d8, step), d8, tables + e);
  }
  for (size_t e = m * entries; e < shape.tables_bytes(); ++e) tables[e] = 0;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {
HWY_EXPORT(BuildTables);
}  // namespace

LutScanTables::LutScanTables(const LutScanShape& shape, uint32_t sub_dimension,
                             const float* codewords)
    : shape_(shape),
      sub_dimension_(sub_dimension),
      codewords_(size_t{shape.subquantizers} * sub_dimension * shape.table_entries()) {
  const size_t entries = shape.table_entries();
  for (size_t j = 0; j < shape.subquantizers; ++j) {
    for (size_t e = 0; e < entries; ++e) {
      for (size_t i = 0; i < sub_dimension; ++i) {
        codewords_[(j * sub_dimension + i) * entries + e] =
            codewords[(j * entries + e) * sub_dimension + i];
      }
    }
  }
}

void LutScanTables::Build(const float* query, float factor, uint8_t* tables, float* scale,
                          float* offset, float* scratch) const {
  HWY_DYNAMIC_DISPATCH(BuildTables)
  (shape_, sub_dimension_, codewords_.data(), query, factor, tables, scale, offset, scratch);
}

}  // namespace tessera
#endif  // HWY_ONCE
