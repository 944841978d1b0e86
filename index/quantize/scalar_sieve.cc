#include "index/quantize/scalar_sieve.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tessera {

void ScalarSieve::SetQuery(Metric metric, std::span<const float> query) {
  if (scorer_ == nullptr) {
    scorer_ = std::make_unique<ScalarScorer>(metric, query);
  } else {
    scorer_->Reset(metric, query);
  }
  lower_.clear();
  upper_.clear();
}

void ScalarSieve::Add(const std::byte* const* rows, size_t n, uint64_t* compared) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const size_t before = lower_.size();
  lower_.resize(before + n, -kInfinity);
  upper_.resize(before + n, kInfinity);
  for (size_t begin = 0; begin < n; ++begin) {
    size_t end = begin;
    while (end < n && rows[end] != nullptr) ++end;
    if (end == begin) continue;
    scorer_->Bound(rows + begin, end - begin, &lower_[before + begin], &upper_[before + begin]);
    *compared += end - begin;
    begin = end;
  }
}

float ScalarSieve::Estimate(size_t i) const {
  const float middle = lower_[i] / 2 + upper_[i] / 2;
  return std::isfinite(middle) ? middle : std::numeric_limits<float>::max();
}

size_t ScalarSieve::Sift(size_t k, Slot* slots) {
  const size_t n = lower_.size();
  if (n <= k) return n;
  sorted_ = upper_;
  const auto kth = sorted_.begin() + static_cast<std::ptrdiff_t>(k) - 1;
  std::nth_element(sorted_.begin(), kth, sorted_.end());
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) {
    if (lower_[i] <= *kth) std::swap(slots[kept++], slots[i]);
  }
  return kept;
}

}  // namespace tessera
