#include "index/quantize/scalar_sieve.h"

#include <algorithm>
#include <utility>

namespace tessera {

void ScalarSieve::SetQuery(Metric metric, std::span<const float> query) {
  if (scorer_ == nullptr) {
    scorer_ = std::make_unique<ScalarScorer>(metric, query);
  } else {
    scorer_->Reset(metric, query);
  }
}

size_t ScalarSieve::Sift(size_t k, const std::byte** rows, Slot* slots, size_t n,
                         uint64_t* compared) {
  if (n <= k) return n;
  // Those with a code to the front.
  size_t coded = 0;
  for (size_t i = 0; i < n; ++i) {
    if (rows[i] == nullptr) continue;
    std::swap(rows[i], rows[coded]);
    std::swap(slots[i], slots[coded++]);
  }
  if (coded <= k) return n;
  *compared += coded;
  if (lower_.size() < coded) {
    lower_.resize(coded);
    upper_.resize(coded);
  }
  scorer_->Bound(rows, coded, lower_.data(), upper_.data());
  sorted_.assign(upper_.begin(), upper_.begin() + static_cast<std::ptrdiff_t>(coded));
  const auto kth = sorted_.begin() + static_cast<std::ptrdiff_t>(k) - 1;
  std::nth_element(sorted_.begin(), kth, sorted_.end());
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) {
    if (i >= coded || lower_[i] <= *kth) slots[kept++] = slots[i];
  }
  return kept;
}

}  // namespace tessera
