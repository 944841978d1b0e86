#include "index/simd/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace tessera::reference {
namespace {

template <class T>
T ReadAt(const std::byte* row, size_t i) {
  T value;
  std::memcpy(&value, row + i * sizeof(T), sizeof(T));
  return value;
}

float ClampToFinite(double value) {
  constexpr double kMax = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(value, -kMax, kMax));
}

}  // namespace

float FloatFromHalf(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1F;
  const uint32_t mantissa = half & 0x3FF;
  float magnitude;
  if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else if (exponent == 31) {
    magnitude = std::bit_cast<float>(0x7F800000u | (mantissa << 13));
  } else {
    magnitude = std::bit_cast<float>(((exponent + 127 - 15) << 23) | (mantissa << 13));
  }
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
}

uint16_t HalfFromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return sign | 0x7E00u;   // NaN
  if (magnitude >= 0x47800000u) return sign | 0x7C00u;  // 65536 or more
  uint32_t mantissa, shift, base;
  if (magnitude < 0x38800000u) {  // below 2^-14: subnormal, a multiple of 2^-24
    shift = 126 - (magnitude >> 23);
    if (shift > 25) return sign;  // below half of the smallest
    mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    base = 0;
  } else {
    shift = 13;
    mantissa = magnitude & 0x7FFFFFu;
    base = ((magnitude >> 23) - (127 - 15)) << 10;
  }
  const uint32_t remainder = mantissa & ((1u << shift) - 1);
  const uint32_t half_way = 1u << (shift - 1);
  uint32_t result = base + (mantissa >> shift);
  // A carry runs on into the exponent, up to infinity, as it should.
  if (remainder > half_way || (remainder == half_way && (result & 1))) ++result;
  return sign | static_cast<uint16_t>(result);
}

float Component(ElementType type, const std::byte* row, size_t i) {
  switch (type) {
    case ElementType::kFloat32:
      return ReadAt<float>(row, i);
    case ElementType::kFloat16:
      return FloatFromHalf(ReadAt<uint16_t>(row, i));
    case ElementType::kUint8:
      return ReadAt<uint8_t>(row, i);
    case ElementType::kInt8:
      return ReadAt<int8_t>(row, i);
  }
  return 0;
}

float ExactDistance(Metric metric, ElementType type, std::span<const float> query,
                    const std::byte* row) {
  double l2 = 0, dot = 0, query_norm2 = 0, row_norm2 = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    const double q = query[i];
    const double x = Component(type, row, i);
    l2 += (q - x) * (q - x);
    dot += q * x;
    query_norm2 += q * q;
    row_norm2 += x * x;
  }
  switch (metric) {
    case Metric::kL2:
      return ClampToFinite(l2);
    case Metric::kInnerProduct:
      return ClampToFinite(0.0 - dot);
    case Metric::kCosine:
      // Two square roots: the product of the squares could overflow even a double.
      if (query_norm2 == 0 || row_norm2 == 0) return 0;
      return static_cast<float>(0.0 - dot / (std::sqrt(query_norm2) * std::sqrt(row_norm2)));
  }
  return 0;
}

ScalarEncoding ScalarEncode(std::span<const float> x, uint8_t* codes) {
  constexpr float kMostCode = 255;
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  ScalarEncoding encoding;
  encoding.offset = *least;
  encoding.step = std::max((*most - *least) / kMostCode, std::numeric_limits<float>::min());
  const float codes_per_unit = 1 / encoding.step;
  for (size_t i = 0; i < x.size(); ++i) {
    const float code =
        std::min(std::nearbyint((x[i] - encoding.offset) * codes_per_unit), kMostCode);
    codes[i] = static_cast<uint8_t>(code);
    const double decoded = encoding.offset + double{encoding.step} * code;
    encoding.norm2 += decoded * decoded;
    encoding.error2 += (x[i] - decoded) * (x[i] - decoded);
  }
  return encoding;
}

}  // namespace tessera::reference
