#include "index/simd/code_lanes.h"

#include "index/simd/dispatch_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/code_lanes.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/simd/mask_bits-inl.h"

#if HWY_TARGET <= HWY_AVX3
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Each of these says which codes of a block are in a set.

// A range is one subtraction and one comparison: what lies before it wraps around.
class InRanges {
 public:
  explicit InRanges(const CodeSet& set)
      : ranges_(set.ranges().data()), count_(set.ranges().size()) {}

  HWY_INLINE uint32_t operator()(const uint16_t* HWY_RESTRICT codes) const {
    const hn::CappedTag<uint16_t, kCodeSetBlock> d;
    uint32_t found = 0;
    for (size_t i = 0; i < kCodeSetBlock; i += hn::Lanes(d)) {
      const auto code = hn::Load(d, codes + i);
      auto in = hn::FirstN(d, 0);
      for (size_t r = 0; r < count_; ++r) {
        const auto offset = hn::Sub(code, hn::Set(d, ranges_[r].first));
        const auto width = hn::Set(d, static_cast<uint16_t>(ranges_[r].last - ranges_[r].first));
        in = hn::Or(in, hn::Eq(hn::Min(offset, width), offset));
      }
      found |= MaskBits(d, in) << i;
    }
    return found;
  }

 private:
  const CodeSet::Range* const ranges_;
  const size_t count_;
};

// The codes' bits are gathered.
class InBits {
 public:
  explicit InBits(const CodeSet& set) : words_(set.words().data()) {}

  HWY_INLINE uint32_t operator()(const uint16_t* HWY_RESTRICT codes) const {
    const hn::CappedTag<uint32_t, 16> d;
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const auto one = hn::Set(d, 1);
    const auto bit_of_word = hn::Set(d, 31);
    uint32_t found = 0;
    for (size_t i = 0; i < kCodeSetBlock; i += hn::Lanes(d)) {
      const auto code = hn::PromoteTo(d, hn::Load(d16, codes + i));
      const auto word = hn::GatherIndex(d, words_, hn::BitCast(di, hn::ShiftRight<5>(code)));
      const auto bit = hn::And(hn::Shr(word, hn::And(code, bit_of_word)), one);
      found |= MaskBits(d, hn::Eq(bit, one)) << i;
    }
    return found;
  }

 private:
  const uint32_t* const words_;
};

#if HWY_TARGET <= HWY_AVX3
// As InBits, for sets of codes below kCodesEnd: their bits are held in registers.
class InRegisters {
 public:
  static constexpr uint16_t kCodesEnd = 2048;

  explicit InRegisters(const CodeSet& set)
      : low0_(_mm512_loadu_si512(set.words().data())),
        low1_(_mm512_loadu_si512(set.words().data() + 16)),
        high0_(_mm512_loadu_si512(set.words().data() + 32)),
        high1_(_mm512_loadu_si512(set.words().data() + 48)) {}

  HWY_INLINE uint32_t operator()(const uint16_t* HWY_RESTRICT codes) const {
    const __m512i code = _mm512_load_si512(codes);
    const __m512i word = _mm512_srli_epi16(code, 4);
    const __m512i low_bits = _mm512_permutex2var_epi16(low0_, word, low1_);
    const __m512i high_bits = _mm512_permutex2var_epi16(high0_, word, high1_);
    const __m512i bits = _mm512_mask_blend_epi16(
        _mm512_test_epi16_mask(code, _mm512_set1_epi16(1024)), low_bits, high_bits);
    const __m512i bit =
        _mm512_sllv_epi16(_mm512_set1_epi16(1), _mm512_and_si512(code, _mm512_set1_epi16(15)));
    return _mm512_mask_test_epi16_mask(_mm512_cmplt_epu16_mask(code, _mm512_set1_epi16(kCodesEnd)),
                                       bits, bit);
  }

 private:
  const __m512i low0_, low1_, high0_, high1_;
};
#endif

// Calls `visit` with what of the above suits the set best.
template <class Visit>
HWY_INLINE auto WithMembership(const CodeSet& set, const Visit& visit) {
  if (set.words().empty()) return visit(InRanges(set));
#if HWY_TARGET <= HWY_AVX3
  if (set.last() < InRegisters::kCodesEnd) return visit(InRegisters(set));
#endif
  return visit(InBits(set));
}

void Lanes(const uint16_t* HWY_RESTRICT codes, size_t num_blocks, const CodeSet& set,
           uint32_t* HWY_RESTRICT lanes) {
  WithMembership(set, [&](const auto& in) {
    for (size_t b = 0; b < num_blocks; ++b) lanes[b] = in(codes + b * kCodeSetBlock);
  });
}

size_t Matches(const CodeRun* HWY_RESTRICT runs, size_t num_runs, const CodeSet& set,
               uint32_t* HWY_RESTRICT found) {
  return WithMembership(set, [&](const auto& in) {
    uint32_t* end = found;
    for (size_t r = 0; r < num_runs; ++r) {
      for (uint32_t b = 0; b < runs[r].num_blocks; ++b) {
        const auto first = static_cast<uint32_t>(r) * CodeRun::kMostCodes + b * kCodeSetBlock;
        end = StoreNumbersOfBits(in(runs[r].codes + b * kCodeSetBlock), first, end);
      }
    }
    return static_cast<size_t>(end - found);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {
HWY_EXPORT(Lanes);
HWY_EXPORT(Matches);
}  // namespace

void CodeLanes(const uint16_t* codes, size_t num_blocks, const CodeSet& set, uint32_t* lanes) {
  HWY_DYNAMIC_DISPATCH(Lanes)(codes, num_blocks, set, lanes);
}

size_t CodeMatches(std::span<const CodeRun> runs, const CodeSet& set, uint32_t* found) {
  return HWY_DYNAMIC_DISPATCH(Matches)(runs.data(), runs.size(), set, found);
}

}  // namespace tessera
#endif  // HWY_ONCE
