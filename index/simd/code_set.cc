#include "index/simd/code_set.h"

#include <algorithm>

#include "index/simd/dispatch_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/code_set.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#if HWY_TARGET <= HWY_AVX3
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A range is one subtraction and one comparison: what lies before it wraps around.
void LanesOfRanges(const uint16_t* HWY_RESTRICT codes, size_t num_blocks,
                   const CodeSet::Range* HWY_RESTRICT ranges, size_t num_ranges,
                   uint32_t* HWY_RESTRICT lanes) {
  const hn::CappedTag<uint16_t, kCodeSetBlock> d;
  for (size_t b = 0; b < num_blocks; ++b) {
    uint32_t found = 0;
    for (size_t i = 0; i < kCodeSetBlock; i += hn::Lanes(d)) {
      const auto code = hn::Load(d, codes + b * kCodeSetBlock + i);
      auto in = hn::FirstN(d, 0);
      for (size_t r = 0; r < num_ranges; ++r) {
        const auto offset = hn::Sub(code, hn::Set(d, ranges[r].first));
        const auto width = hn::Set(d, static_cast<uint16_t>(ranges[r].last - ranges[r].first));
        in = hn::Or(in, hn::Eq(hn::Min(offset, width), offset));
      }
      uint8_t bits[8] = {};
      hn::StoreMaskBits(d, in, bits);
      found |= (uint32_t{bits[0]} | uint32_t{bits[1]} << 8 | uint32_t{bits[2]} << 16 |
                uint32_t{bits[3]} << 24)
               << i;
    }
    lanes[b] = found;
  }
}

// The codes' bits are gathered.
void LanesOfBits(const uint16_t* HWY_RESTRICT codes, size_t num_blocks,
                 const uint32_t* HWY_RESTRICT words, uint32_t* HWY_RESTRICT lanes) {
  const hn::CappedTag<uint32_t, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const auto one = hn::Set(d, 1);
  const auto bit_of_word = hn::Set(d, 31);
  for (size_t b = 0; b < num_blocks; ++b) {
    uint32_t found = 0;
    for (size_t i = 0; i < kCodeSetBlock; i += hn::Lanes(d)) {
      const auto code = hn::PromoteTo(d, hn::Load(d16, codes + b * kCodeSetBlock + i));
      const auto word = hn::GatherIndex(d, words, hn::BitCast(di, hn::ShiftRight<5>(code)));
      const auto bit = hn::And(hn::Shr(word, hn::And(code, bit_of_word)), one);
      uint8_t bits[8] = {};
      hn::StoreMaskBits(d, hn::Eq(bit, one), bits);
      found |= (uint32_t{bits[0]} | uint32_t{bits[1]} << 8) << i;
    }
    lanes[b] = found;
  }
}

// As LanesOfBits, for sets of codes below kRegisterCodes: their bits are held in registers. Codes
// from there on are not in the set. False where the target cannot.
#if HWY_TARGET <= HWY_AVX3
bool LanesOfRegisters(const uint16_t* HWY_RESTRICT codes, size_t num_blocks,
                      const uint32_t* HWY_RESTRICT words, uint32_t* HWY_RESTRICT lanes) {
  const __m512i low0 = _mm512_loadu_si512(words);
  const __m512i low1 = _mm512_loadu_si512(words + 16);
  const __m512i high0 = _mm512_loadu_si512(words + 32);
  const __m512i high1 = _mm512_loadu_si512(words + 48);
  const __m512i one = _mm512_set1_epi16(1);
  const __m512i high = _mm512_set1_epi16(1024);
  const __m512i end = _mm512_set1_epi16(2048);
  const __m512i bit_of_word = _mm512_set1_epi16(15);
  for (size_t b = 0; b < num_blocks; ++b) {
    const __m512i code = _mm512_load_si512(codes + b * kCodeSetBlock);
    const __m512i word = _mm512_srli_epi16(code, 4);
    const __m512i low_bits = _mm512_permutex2var_epi16(low0, word, low1);
    const __m512i high_bits = _mm512_permutex2var_epi16(high0, word, high1);
    const __m512i bits =
        _mm512_mask_blend_epi16(_mm512_test_epi16_mask(code, high), low_bits, high_bits);
    const __m512i bit = _mm512_sllv_epi16(one, _mm512_and_si512(code, bit_of_word));
    lanes[b] = _mm512_mask_test_epi16_mask(_mm512_cmplt_epu16_mask(code, end), bits, bit);
  }
  return true;
}
#else
bool LanesOfRegisters(const uint16_t*, size_t, const uint32_t*, uint32_t*) { return false; }
#endif

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {
HWY_EXPORT(LanesOfRanges);
HWY_EXPORT(LanesOfBits);
HWY_EXPORT(LanesOfRegisters);

// Up to as many ranges are compared one by one.
constexpr size_t kCompared = 4;
constexpr uint16_t kRegisterCodes = 2048;
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

void CodeSet::Negate(uint16_t last) {
  Finish();
  std::vector<Range> others;
  uint32_t begin = 0;
  for (const Range& range : ranges_) {
    if (range.first > begin) {
      others.push_back({static_cast<uint16_t>(begin), static_cast<uint16_t>(range.first - 1)});
    }
    begin = uint32_t{range.last} + 1;
  }
  if (begin <= last) others.push_back({static_cast<uint16_t>(begin), last});
  ranges_ = std::move(others);
  Finish();
}

bool CodeSet::Contains(uint16_t code) const {
  if (!words_.empty()) return (words_[code / kWordBits] >> (code % kWordBits) & 1) != 0;
  return std::any_of(ranges_.begin(), ranges_.end(), [code](const Range& range) {
    return range.first <= code && code <= range.last;
  });
}

void CodeLanes(const uint16_t* codes, size_t num_blocks, const CodeSet& set, uint32_t* lanes) {
  if (set.words().empty()) {
    HWY_DYNAMIC_DISPATCH(LanesOfRanges)
    (codes, num_blocks, set.ranges().data(), set.ranges().size(), lanes);
    return;
  }
  const uint32_t* words = set.words().data();
  if (set.last() < kRegisterCodes &&
      HWY_DYNAMIC_DISPATCH(LanesOfRegisters)(codes, num_blocks, words, lanes)) {
    return;
  }
  HWY_DYNAMIC_DISPATCH(LanesOfBits)(codes, num_blocks, words, lanes);
}

}  // namespace tessera
#endif  // HWY_ONCE
