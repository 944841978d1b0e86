#include "index/simd/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/simd/convert_kernels.h"
#include "index/simd/reference.h"

namespace tessera {
namespace {

// Components that pass through floats on the stack at a time.
constexpr size_t kChunk = 1024;

// Why `value` cannot be stored as `type`; empty if it can.
std::string Objection(ElementType type, float value) {
  if (std::isnan(value)) return "is NaN";
  if (std::isinf(value)) return "is infinite";
  const bool integral = value == std::trunc(value);
  switch (type) {
    case ElementType::kFloat32:
      return "";
    case ElementType::kFloat16:
      if (std::isfinite(reference::FloatFromHalf(reference::HalfFromFloat(value)))) return "";
      return absl::StrCat("is ", value, ", beyond 65504, the largest FLOAT16");
    case ElementType::kUint8:
      if (integral && value >= 0 && value <= 255) return "";
      return absl::StrCat("is ", value, ", not an integer from 0 to 255 (UINT8)");
    case ElementType::kInt8:
      if (integral && value >= -128 && value <= 127) return "";
      return absl::StrCat("is ", value, ", not an integer from -128 to 127 (INT8)");
  }
  return "has an unknown element type";
}

// The same of a component that comes from outside.
std::string ObjectionToInput(float value) {
  const std::string objection = Objection(ElementType::kFloat32, value);
  if (!objection.empty() || std::abs(value) <= limits::kComponentMax) return objection;
  return absl::StrCat("is ", value, ", at most ", limits::kComponentMax,
                      " in magnitude are allowed");
}

// The error for the first component at or after `begin` that `objection_to` objects to.
template <class ObjectionTo>
absl::Status FirstObjection(VectorsView in, size_t begin, const ObjectionTo& objection_to) {
  for (size_t i = begin; i < in.rows * in.dim; ++i) {
    const std::string objection = objection_to(reference::Component(in.type, in.data, i));
    if (objection.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("vector ", i / in.dim, ": component ", i % in.dim, " ", objection));
  }
  return absl::OkStatus();
}

// The error for the first component at or after `begin` that does not fit `type`.
absl::Status FirstThatDoesNotFit(VectorsView in, size_t begin, ElementType type) {
  return FirstObjection(in, begin, [type](float value) { return Objection(type, value); });
}

}  // namespace

void ToFloat(ElementType type, const std::byte* in, size_t n, float* out) {
  convert_kernels::Widen(type, in, n, out);
}

absl::Status CheckFinite(VectorsView vectors) {
  if (convert_kernels::AllFinite(vectors.type, vectors.data, vectors.rows * vectors.dim)) {
    return absl::OkStatus();
  }
  return FirstThatDoesNotFit(vectors, 0, ElementType::kFloat32);
}

absl::Status CheckComponents(VectorsView vectors) {
  if (vectors.type != ElementType::kFloat32) return CheckFinite(vectors);  // others hold no more
  const size_t n = vectors.rows * vectors.dim;
  bool within = true;
  for (size_t i = 0; i < n; ++i) {
    float value;
    std::memcpy(&value, vectors.data + i * sizeof(value), sizeof(value));
    within &= std::abs(value) <= limits::kComponentMax;
  }
  return within ? absl::OkStatus() : FirstObjection(vectors, 0, ObjectionToInput);
}

absl::Status ConvertVectors(VectorsView in, ElementType type, std::byte* out) {
  const size_t n = in.rows * in.dim;
  if (in.type == type) {
    if (n > 0) std::memcpy(out, in.data, n * ElementSize(type));
    return CheckFinite(in);
  }
  float chunk[kChunk];
  for (size_t begin = 0; begin < n; begin += kChunk) {
    const size_t count = std::min(kChunk, n - begin);
    convert_kernels::Widen(in.type, in.data + begin * ElementSize(in.type), count, chunk);
    if (!convert_kernels::Narrow(type, chunk, count, out + begin * ElementSize(type))) {
      return FirstThatDoesNotFit(in, begin, type);
    }
  }
  return absl::OkStatus();
}

void NormalizeRows(float* rows, size_t n, size_t dim) {
  // Plain loops in double and in a fixed order: no overflow or underflow, and the same bits on
  // every machine, since these vectors are stored.
  constexpr size_t kSums = 8;
  for (size_t r = 0; r < n; ++r) {
    float* row = rows + r * dim;
    double sums[kSums] = {};
    size_t i = 0;
    for (; i + kSums <= dim; i += kSums) {
      for (size_t s = 0; s < kSums; ++s) sums[s] += static_cast<double>(row[i + s]) * row[i + s];
    }
    for (; i < dim; ++i) sums[0] += static_cast<double>(row[i]) * row[i];
    double norm2 = 0;
    for (double sum : sums) norm2 += sum;
    if (norm2 == 0) continue;
    const double scale = 1 / std::sqrt(norm2);
    for (size_t j = 0; j < dim; ++j) row[j] = static_cast<float>(row[j] * scale);
  }
}

}  // namespace tessera
