#include "index/base/code_set.h"

#include <algorithm>

namespace tessera {
namespace {

// Up to as many ranges are compared one by one.
constexpr size_t kCompared = 4;
constexpr size_t kWordBits = 32;
constexpr size_t kWords = (size_t{1} << 16) / kWordBits;

}  // namespace

void CodeSet::Insert(uint16_t first, uint16_t last) { ranges_.push_back({first, last}); }

void CodeSet::Finish() {
  const auto before = [](const Range& a, const Range& b) { return a.first < b.first; };
  if (!std::is_sorted(ranges_.begin(), ranges_.end(), before)) {
    std::sort(ranges_.begin(), ranges_.end(), before);
  }
  size_t count = 0;
  for (const Range& range : ranges_) {
    if (count > 0 && range.first <= uint32_t{ranges_[count - 1].last} + 1) {
      ranges_[count - 1].last = std::max(ranges_[count - 1].last, range.last);
    } else {
      ranges_[count++] = range;
    }
  }
  ranges_.resize(count);
  words_.clear();
  if (count <= kCompared) return;
  words_.resize(kWords);
  for (const Range& range : ranges_) {
    for (uint32_t code = range.first; code <= range.last; ++code) {
      if (code % kWordBits == 0 && code + kWordBits <= uint32_t{range.last} + 1) {
        words_[code / kWordBits] = ~uint32_t{0};
        code += kWordBits - 1;
      } else {
        words_[code / kWordBits] |= uint32_t{1} << (code % kWordBits);
      }
    }
  }
}

bool CodeSet::Contains(uint16_t code) const {
  if (!words_.empty()) return (words_[code / kWordBits] >> (code % kWordBits) & 1) != 0;
  return std::any_of(ranges_.begin(), ranges_.end(), [code](const Range& range) {
    return range.first <= code && code <= range.last;
  });
}

}  // namespace tessera
