#include "index/simd/exact.h"

#include <cmath>

#include "index/base/check.h"
#include "index/base/limits.h"
#include "index/simd/dispatch_targets.h"
#include "index/simd/exact_query.h"
#include "index/simd/rows.h"

// Highway compiles this file once per target; the kernels come from the -inl.h headers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/exact.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
#include "index/simd/exact_float-inl.h"
#include "index/simd/exact_integer-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {

void ScoreRows(const ExactQuery& query, const Rows& rows, float* distances) {
  const bool integer = query.integer_query != nullptr;
  switch (query.type) {
    case ElementType::kFloat32:
      return ScoreFloat<ElementF32>(query, rows, distances);
    case ElementType::kFloat16:
      return ScoreFloat<ElementF16>(query, rows, distances);
    case ElementType::kUint8:
      return integer ? ScoreInteger<false>(query, rows, distances)
                     : ScoreFloat<ElementU8>(query, rows, distances);
    case ElementType::kInt8:
      return integer ? ScoreInteger<true>(query, rows, distances)
                     : ScoreFloat<ElementI8>(query, rows, distances);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {

HWY_EXPORT(ScoreRows);

// Writes the query as bytes, if every component is an integer from `low` to low + 255. Without a
// branch on a component, so that compilers make vectors of it.
bool ToBytes(std::span<const float> query, float low, uint8_t* bytes) {
  const float high = low + 255;
  unsigned fits = 1;
  for (size_t i = 0; i < query.size(); ++i) {
    const float value = query[i];
    const float clamped = value >= low ? (value <= high ? value : high) : low;  // NaN, too
    const auto integer = static_cast<int32_t>(clamped);
    fits &= static_cast<unsigned>(static_cast<float>(integer) == value);
    bytes[i] = static_cast<uint8_t>(integer);
  }
  return fits != 0;
}

}  // namespace

ExactScorer::ExactScorer(Metric metric, ElementType type, std::span<const float> query) {
  Reset(metric, type, query);
}

void ExactScorer::Reset(Metric metric, ElementType type, std::span<const float> query) {
  TESSERA_CHECK(query.size() >= 1 && query.size() <= limits::kDimensionMax);
  metric_ = metric;
  type_ = type;
  query_.assign(query.begin(), query.end());
  query_norm2_ = 0;
  if (metric == Metric::kCosine) {
    for (float value : query) query_norm2_ += static_cast<double>(value) * value;
  }
  is_integer_ = false;
  if (type != ElementType::kUint8 && type != ElementType::kInt8) return;
  const int32_t low = type == ElementType::kInt8 ? -128 : 0;
  integer_query_.resize(query.size());
  is_integer_ = ToBytes(query, static_cast<float>(low), integer_query_.data());
  if (!is_integer_) return;
  int32_t sum = 0, squares = 0;
  for (const uint8_t byte : integer_query_) {
    const int32_t value = low < 0 ? static_cast<int8_t>(byte) : byte;
    sum += value;
    squares += value * value;
  }
  integer_query_sum_ = sum;
  integer_query_square_ = squares - (128 + 2 * low) * sum;
}

void ExactScorer::Score(const std::byte* const* rows, size_t n, float* distances) const {
  ScoreRows(Rows::Gathered(rows, n, query_.size() * ElementSize(type_)), distances);
}

void ExactScorer::ScoreContiguous(const std::byte* rows, size_t n, float* distances) const {
  ScoreRows(Rows::Contiguous(rows, n, query_.size() * ElementSize(type_)), distances);
}

void ExactScorer::ScoreRows(const Rows& rows, float* distances) const {
  const ExactQuery query = {
      .metric = metric_,
      .type = type_,
      .dim = query_.size(),
      .query = query_.data(),
      .integer_query = is_integer_ ? integer_query_.data() : nullptr,
      .integer_query_sum = integer_query_sum_,
      .integer_query_square = integer_query_square_,
      .query_norm2 = query_norm2_,
  };
  HWY_DYNAMIC_DISPATCH(ScoreRows)(query, rows, distances);
}

}  // namespace tessera
#endif  // HWY_ONCE
