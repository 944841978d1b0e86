#include "index/simd/lane_mask.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "index/base/buffer.h"
#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

// Blocks of random slots below and above the end of the mask, some lanes empty.
class Blocks {
 public:
  Blocks(const LutScanShape& shape, size_t n, Slot slots_end, uint32_t seed)
      : shape_(shape), bytes_(n * shape.block_bytes()) {
    std::mt19937 rng(seed);
    std::vector<uint8_t> code(shape.code_bytes());
    for (size_t b = 0; b < n; ++b) {
      LutScanClear(shape, block(b));
      for (size_t lane = 0; lane < kLutScanBlockVectors; ++lane) {
        if (rng() % 8 == 0) continue;
        LutScanPut(shape, block(b), lane, code.data(), 0, static_cast<Slot>(rng() % slots_end));
      }
    }
  }
  uint8_t* block(size_t b) { return bytes_.data() + b * shape_.block_bytes(); }

 private:
  const LutScanShape shape_;
  AlignedBuffer<uint8_t> bytes_;
};

void ExpectLanes(const LutScanShape& shape, size_t n, const SlotMask& mask, Slot slots_end) {
  Blocks blocks(shape, n, slots_end, static_cast<uint32_t>(n));
  std::vector<uint32_t> lanes(n, 0xABCD);
  MaskLanes(shape, blocks.block(0), n, mask, lanes.data());
  for (size_t b = 0; b < n; ++b) {
    for (size_t lane = 0; lane < kLutScanBlockVectors; ++lane) {
      const Slot slot = LutScanSlot(shape, blocks.block(b), lane);
      ASSERT_EQ((lanes[b] >> lane & 1) != 0, mask.Contains(slot))
          << "block " << b << " lane " << lane << " slot " << slot << " end " << mask.end();
    }
  }
}

TEST(LaneMask, EveryLaneOnEveryTarget) {
  ForEachTarget([] {
    std::mt19937 rng(1);
    for (const Slot end : {1u, 31u, 32u, 33u, 63u, 64u, 1000u, 100'001u}) {
      for (const uint32_t every : {1u, 2u, 50u}) {
        SlotMask mask(end);
        for (Slot slot = 0; slot < end; ++slot) {
          if (rng() % every == 0) mask.Insert(slot);
        }
        for (size_t n = 1; n <= 9; ++n) {
          ExpectLanes({9, 4}, n, mask, end);
          ExpectLanes({64, 4}, n, mask, 2 * end);
          ExpectLanes({5, 8}, n, mask, 0xFFFFFFFF);
        }
      }
    }
  });
}

TEST(LaneMask, AnEmptyMaskHasNoLane) {
  ForEachTarget([] { ExpectLanes({8, 4}, 5, SlotMask(0), 1000); });
}

}  // namespace
}  // namespace tessera
