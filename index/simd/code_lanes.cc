#include "index/simd/code_lanes.h"

#include "index/simd/dispatch_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/code_lanes.cc"
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

constexpr uint16_t kRegisterCodes = 2048;

}  // namespace

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
