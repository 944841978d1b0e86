#include "index/base/top_k.h"

#include <algorithm>
#include <limits>

namespace tessera {
namespace {

// A small k would select after every few pushes; a buffer of this many is still cheap to select.
constexpr size_t kBufferMin = 64;

}  // namespace

void TopK::Reset(size_t k) {
  k_ = k;
  size_ = 0;
  // With k = 0 nothing may enter, not even -infinity: only NaN compares false with everything.
  threshold_ =
      k == 0 ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  buffer_.resize(k == 0 ? 0 : std::max(2 * k, kBufferMin));
}

void TopK::Append(Neighbor neighbor) {
  buffer_[size_++] = neighbor;
  if (size_ == buffer_.size()) Select();
}

void TopK::Select() {
  const auto kth = buffer_.begin() + static_cast<ptrdiff_t>(k_ - 1);
  std::nth_element(buffer_.begin(), kth, buffer_.begin() + static_cast<ptrdiff_t>(size_),
                   [this](const Neighbor& a, const Neighbor& b) { return Before(a, b); });
  size_ = k_;
  threshold_ = kth->distance;
}

size_t TopK::TakeTo(Neighbor* out) {
  const size_t count = std::min(size_, k_);
  if (size_ > k_ && k_ > 0) Select();
  std::sort(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(count),
            [this](const Neighbor& a, const Neighbor& b) { return Before(a, b); });
  std::copy_n(buffer_.begin(), count, out);
  Reset(k_);
  return count;
}

std::vector<Neighbor> TopK::Take() {
  std::vector<Neighbor> best(std::min(size_, k_));
  TakeTo(best.data());
  return best;
}

}  // namespace tessera
