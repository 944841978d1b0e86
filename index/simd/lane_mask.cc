#include "index/simd/lane_mask.h"

#include "index/simd/dispatch_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/lane_mask.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/simd/mask_bits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The slots of block b begin at slots + b * stride bytes. Slots from `end` on take the bit of
// `end`.
void LanesOf(const uint8_t* HWY_RESTRICT slots, size_t stride, size_t num_blocks,
             const uint32_t* HWY_RESTRICT words, Slot end, uint32_t* HWY_RESTRICT lanes) {
  const hn::CappedTag<uint32_t, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto last = hn::Set(d, end);
  const auto one = hn::Set(d, 1);
  const auto bit_of_word = hn::Set(d, SlotMask::kWordBits - 1);
  for (size_t b = 0; b < num_blocks; ++b) {
    const Slot* block = reinterpret_cast<const Slot*>(slots + b * stride);
    uint32_t found = 0;
    for (size_t i = 0; i < kLutScanBlockVectors; i += hn::Lanes(d)) {
      const auto slot = hn::Min(hn::Load(d, block + i), last);
      const auto word = hn::GatherIndex(d, words, hn::BitCast(di, hn::ShiftRight<5>(slot)));
      const auto bit = hn::And(hn::Shr(word, hn::And(slot, bit_of_word)), one);
      found |= MaskBits(d, hn::Eq(bit, one)) << i;
    }
    lanes[b] = found;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {
HWY_EXPORT(LanesOf);
}  // namespace

void MaskLanes(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
               const SlotMask& mask, uint32_t* lanes) {
  const auto* slots = reinterpret_cast<const uint8_t*>(LutScanSlots(shape, blocks));
  HWY_DYNAMIC_DISPATCH(LanesOf)
  (slots, shape.block_bytes(), num_blocks, mask.words(), mask.end(), lanes);
}

}  // namespace tessera
#endif  // HWY_ONCE
