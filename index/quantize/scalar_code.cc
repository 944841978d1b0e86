#include "index/quantize/scalar_code.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "index/simd/convert.h"
#include "index/simd/scalar_encode.h"

namespace tessera {
namespace {

struct Head {
  float step;
  float offset;
  float norm2;  // | x~ |^2
  float error;  // | x - x~ |, rounded up
};

// A sum of products in floats is off by so much at most for each addition, of which four or more
// are made beside each other, relative to the product of both lengths.
constexpr double kRoundingOfSum = 1.2e-7;
constexpr double kSumsBeside = 4;
// More than underflow can take from a sum of squares.
constexpr double kTiny = 1e-37;

double Norm2(std::span<const float> v) {
  double sum = 0;
  for (const float x : v) sum += double{x} * x;
  return sum;
}

std::span<const float> AsCoded(Metric metric, std::span<const float> vector,
                               std::vector<float>& scratch) {
  if (metric != Metric::kCosine) return vector;
  scratch.assign(vector.begin(), vector.end());
  NormalizeRows(scratch.data(), 1, scratch.size());
  return scratch;
}

}  // namespace

size_t ScalarRowBytes(size_t dimension) {
  // Whole heads, so that those of rows beside each other are aligned.
  return sizeof(Head) + (dimension + sizeof(Head) - 1) / sizeof(Head) * sizeof(Head);
}

void EncodeScalar(Metric metric, std::span<const float> vector, std::byte* row) {
  static thread_local std::vector<float> scratch;
  const std::span<const float> x = AsCoded(metric, vector, scratch);
  auto* codes = reinterpret_cast<uint8_t*>(row + sizeof(Head));
  const ScalarEncoding encoding = ScalarEncode(x.data(), x.size(), codes);
  std::fill(codes + x.size(), codes + (ScalarRowBytes(x.size()) - sizeof(Head)), uint8_t{0});
  Head head;
  head.step = encoding.step;
  head.offset = encoding.offset;
  head.norm2 = static_cast<float>(encoding.norm2);
  head.error = std::nextafter(static_cast<float>(std::sqrt(encoding.error2)),
                              std::numeric_limits<float>::infinity());
  std::memcpy(row, &head, sizeof(Head));
}

ScalarScorer::ScalarScorer(Metric metric, std::span<const float> query)
    : metric_(metric), products_(Metric::kInnerProduct, ElementType::kUint8, query) {
  Reset(metric, query);
}

void ScalarScorer::Reset(Metric metric, std::span<const float> query) {
  metric_ = metric;
  const std::span<const float> q = AsCoded(metric, query, query_);
  products_.Reset(Metric::kInnerProduct, ElementType::kUint8, q);
  norm2_ = Norm2(q);
  length_ = std::sqrt(norm2_);
  root_dimension_ = std::sqrt(static_cast<double>(q.size()));
  sum_ = 0;
  for (const float x : q) sum_ += x;
  rounding_ = kRoundingOfSum * (kSumsBeside + static_cast<double>(q.size()) / kSumsBeside);
}

void ScalarScorer::Bound(const std::byte* const* rows, size_t n, float* lower, float* upper) {
  components_.resize(n);
  for (size_t i = 0; i < n; ++i) components_[i] = rows[i] + sizeof(Head);
  products_.Score(components_.data(), n, lower);
  for (size_t i = 0; i < n; ++i) {
    Head head;
    std::memcpy(&head, rows[i], sizeof(head));
    const double product = head.offset * sum_ - double{head.step} * lower[i];
    // The codes' part of x~ may be far longer than all of it, where the offset takes away the rest.
    const double codes_length =
        std::sqrt(double{head.norm2}) + std::abs(head.offset) * root_dimension_;
    double off = rounding_ * length_ * codes_length + kTiny;
    if (metric_ == Metric::kL2) {
      const double lengths2 = norm2_ + head.norm2;
      const double of_code2 = lengths2 - 2 * product;
      off = 2 * off + rounding_ * lengths2;
      const double nearest = std::sqrt(std::max(of_code2 - off, 0.0)) - head.error;
      const double farthest = std::sqrt(std::max(of_code2 + off, 0.0)) + head.error;
      lower[i] = static_cast<float>(nearest <= 0 ? 0 : nearest * nearest - off);
      upper[i] = static_cast<float>(farthest * farthest + off);
    } else {
      const double reach = length_ * head.error + off;
      lower[i] = static_cast<float>(-product - reach);
      upper[i] = static_cast<float>(-product + reach);
    }
  }
}

}  // namespace tessera
