#include "index/ivf/code_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "index/simd/convert.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// The squares of larger numbers, and sums of them, may overflow a float.
constexpr double kLargeNorm = 1e17;
// More than underflow can take from a sum of squares.
constexpr double kTiny = 1e-30;

double Norm(std::span<const float> values) {
  double sum = 0;
  for (float x : values) sum += double{x} * x;
  return std::sqrt(sum);
}

float RoundDown(double value) { return std::nextafter(static_cast<float>(value), -kInfinity); }
float RoundUp(double value) { return std::nextafter(static_cast<float>(value), kInfinity); }

// At least the length of the residual that any code stands for.
double LongestResidual(const ProductQuantizer& quantizer) {
  const MatrixView codewords = quantizer.all_codewords();
  double sum = 0;
  for (size_t j = 0; j < quantizer.subquantizers(); ++j) {
    double longest = 0;
    for (size_t c = 0; c < quantizer.codewords(); ++c) {
      longest = std::max(longest, Norm(codewords.row(j * quantizer.codewords() + c)));
    }
    sum += longest * longest;
  }
  return std::sqrt(sum);
}

// Twice the error of a float operation for each step of the longest sum, and some for what comes
// around it.
double RelativeRounding(const Codebook& codebook) {
  const double terms = codebook.rotation().is_none()
                           ? codebook.padded_dimension()
                           : codebook.padded_dimension() + 2.0 * codebook.dimension();
  return (terms + codebook.subquantizers() + 64.0) * std::numeric_limits<float>::epsilon() +
         2 * codebook.rotation().deviation();
}

}  // namespace

CodeBounds::CodeBounds(const ListsSnapshot& lists, std::span<const float> query)
    : lists_(lists),
      codebook_(lists.codebook()),
      l2_(codebook_.metric() == Metric::kL2),
      rounding_(RelativeRounding(codebook_)),
      query_(codebook_.dimension()),
      table_query_(codebook_.padded_dimension()),
      residual_norm_max_(LongestResidual(codebook_.quantizer())) {
  codebook_.Prepare({query.data(), 1, query.size()}, query_.data());
  codebook_.ForTable({query_.data(), 1, query_.size()}, table_query_.data());
  query_norm_ = Norm(query_);
}

CodeBounds::List CodeBounds::Of(size_t list) const {
  const size_t dim = codebook_.dimension();
  const float* centroid = codebook_.centroids().row(list).data();
  const double reach = lists_.list(list).reach;
  const double centroid_norm = std::sqrt(double{FloatDotProduct(centroid, centroid, dim)});
  List out;
  out.distance = l2_ ? FloatSquaredDistance(query_.data(), centroid, dim)
                     : -FloatDotProduct(query_.data(), centroid, dim);
  out.norm = (centroid_norm + reach) * (1 + rounding_);
  const double w = residual_norm_max_;
  out.scale = std::abs(double{out.distance}) + 4 * query_norm_ * w;
  if (l2_) out.scale += w * w + 2 * centroid_norm * w;
  out.usable = query_norm_ + out.norm + w < kLargeNorm;
  if (!out.usable) out.distance = 0;
  // As if the code of each vector were the centroid.
  out.lower = Around(out, out.distance, 0, lists_.list(list).reach).lower;
  return out;
}

DistanceBounds CodeBounds::Around(const List& list, double estimate, double slack,
                                  float error) const {
  if (!list.usable || !std::isfinite(estimate)) return {-kInfinity, kInfinity};
  slack += 4 * rounding_ * list.scale + kTiny;
  // Query and vector are known to the codebook as rounded when they were moved or normalised.
  const double off = error * (1 + rounding_) + 2 * rounding_ * (query_norm_ + list.norm);
  if (l2_) {
    const double near = std::max(0.0, std::sqrt(std::max(0.0, estimate - slack)) - off);
    const double far = std::sqrt(std::max(0.0, estimate + slack)) + off;
    return {std::max(0.0f, RoundDown(near * near * (1 - 2 * rounding_) - kTiny)),
            RoundUp(far * far * (1 + 2 * rounding_) + kTiny)};
  }
  const double width =
      slack + query_norm_ * off * (1 + rounding_) + 2 * rounding_ * query_norm_ * list.norm;
  return {RoundDown(estimate - width), RoundUp(estimate + width)};
}

// The estimate at which Around(...).lower comes to `farthest`.
float CodeBounds::EstimateMax(const List& list, double slack, float farthest,
                              float error_max) const {
  if (!list.usable) return kInfinity;
  slack += 4 * rounding_ * list.scale + kTiny;
  const double off = error_max * (1 + rounding_) + 2 * rounding_ * (query_norm_ + list.norm);
  if (l2_) {
    // Slightly more than the square root of what Around shrinks.
    const double near =
        std::sqrt((std::max(0.0, double{farthest}) + 2 * kTiny) * (1 + 4 * rounding_)) + off;
    return RoundUp(near * near * (1 + rounding_) + slack);
  }
  const double width =
      slack + query_norm_ * off * (1 + rounding_) + 2 * rounding_ * query_norm_ * list.norm;
  return RoundUp(farthest + width * (1 + rounding_) + std::abs(farthest) * rounding_);
}

bool CodeBounds::FindCode(uint32_t list, Slot slot, uint8_t* code) const {
  const LutScanShape& shape = lists_.tables().shape;
  const InvertedList& l = lists_.list(list);
  const size_t blocks = l.num_blocks + (l.tail != nullptr ? 1 : 0);
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* block = b < l.num_blocks ? l.blocks + b * shape.block_bytes() : l.tail;
    const Slot* slots = LutScanSlots(shape, block);
    for (size_t lane = 0; lane < kLutScanBlockVectors; ++lane) {
      if (slots[lane] != slot) continue;
      LutScanGet(shape, block, lane, code);
      return true;
    }
  }
  return false;
}

double CodeBounds::DecodedDistance(uint32_t list, const uint8_t* code) const {
  const size_t dim = codebook_.dimension();
  std::vector<float> residual(dim);
  codebook_.DecodeResidual(code, residual.data());
  const float* centroid = codebook_.centroids().row(list).data();
  double sum = 0;
  for (size_t t = 0; t < dim; ++t) {
    const double x = double{centroid[t]} + residual[t];
    sum += l2_ ? (query_[t] - x) * (query_[t] - x) : -(query_[t] * x);
  }
  return sum;
}

DistanceBounds CodeBounds::OfSlot(Slot slot, uint32_t list_hint) const {
  std::vector<uint8_t> code(lists_.tables().shape.code_bytes());
  const size_t nlist = lists_.nlist();
  uint32_t list = list_hint;
  bool found = list < nlist && FindCode(list, slot, code.data());
  // The hint may be of another codebook.
  for (uint32_t i = 0; i < nlist && !found; ++i) {
    list = i;
    found = FindCode(list, slot, code.data());
  }
  if (!found) return {-kInfinity, kInfinity};
  return Around(Of(list), DecodedDistance(list, code.data()), 0, lists_.errors().Get(slot));
}

}  // namespace tessera
