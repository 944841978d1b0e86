#include "index/simd/lut_scan.h"

#include <cstring>
#include <limits>

#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/simd/lut_scan.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "index/base/pq_code.h"
#include "index/simd/lut_scan_avx512-inl.h"
#include "index/simd/lut_scan_shuffle-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL
bool NibblesByLane() { return true; }
#else
bool NibblesByLane() { return false; }
#endif

void Scan(const LutScanShape& shape, const LutScanBlocks& blocks, LutScanQuery* const* queries,
          size_t num_queries) {
  if (shape.nbits == 8) {
    ScanBytes<false>(shape, blocks.first, blocks.count, nullptr, queries, num_queries);
    if (blocks.tail != nullptr) {
      ScanBytes<false>(shape, blocks.tail, 1, nullptr, queries, num_queries);
    }
  } else {
    ScanNibbles(shape, blocks, queries, num_queries);
  }
}

void ScanMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                const uint32_t* lanes, LutScanQuery* query) {
  if (shape.nbits == 8) {
    ScanBytes<true>(shape, blocks, num_blocks, lanes, &query, 1);
  } else {
    ScanNibblesMasked(shape, blocks, num_blocks, lanes, query);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
namespace {

HWY_EXPORT(NibblesByLane);
HWY_EXPORT(Scan);
HWY_EXPORT(ScanMasked);

constexpr size_t kHalf = kLutScanBlockVectors / 2;

// Where the nibble of subquantizer j of a lane lives. Lanes 0-15 use low nibbles, 16-31 high ones.
// By lane: in each 64 bytes, lane i owns bytes 4i to 4i+3, for four subquantizers.
// By table: in each 16 bytes, byte i is lane i's, for one subquantizer.
size_t NibbleByte(bool by_lane, size_t j, size_t lane) {
  const size_t i = lane % kHalf;
  return by_lane ? j / 4 * 64 + i * 4 + j % 4 : j * kHalf + i;
}

float* Biases(const LutScanShape& shape, uint8_t* block) {
  return reinterpret_cast<float*>(block + shape.packed_codes_bytes());
}

Slot* Slots(const LutScanShape& shape, uint8_t* block) {
  return reinterpret_cast<Slot*>(block + shape.slots_offset());
}

}  // namespace

void LutScanClear(const LutScanShape& shape, uint8_t* block) {
  std::memset(block, 0, shape.packed_codes_bytes());
  LutScanTruncate(shape, block, 0);
}

void LutScanTruncate(const LutScanShape& shape, uint8_t* block, size_t lane) {
  for (size_t i = lane; i < kLutScanBlockVectors; ++i) {
    // An infinite distance is below no threshold: empty lanes need no test of their own.
    Biases(shape, block)[i] = std::numeric_limits<float>::infinity();
    Slots(shape, block)[i] = kInvalidSlot;
  }
}

void LutScanPut(const LutScanShape& shape, uint8_t* block, size_t lane, const uint8_t* code,
                float bias, Slot slot) {
  if (shape.nbits == 8) {
    for (size_t j = 0; j < shape.subquantizers; ++j) {
      block[j * kLutScanBlockVectors + lane] = code[j];
    }
  } else {
    const bool by_lane = HWY_DYNAMIC_DISPATCH(NibblesByLane)();
    const int shift = lane < kHalf ? 0 : 4;
    for (size_t j = 0; j < shape.subquantizers; ++j) {
      const uint32_t nibble = PqCodeword(code, j, 4);
      uint8_t& pair = block[NibbleByte(by_lane, j, lane)];
      pair = static_cast<uint8_t>((pair & (0xF0 >> shift)) | nibble << shift);
    }
  }
  Biases(shape, block)[lane] = bias;
  Slots(shape, block)[lane] = slot;
}

void LutScanGet(const LutScanShape& shape, const uint8_t* block, size_t lane, uint8_t* code) {
  std::memset(code, 0, shape.code_bytes());
  if (shape.nbits == 8) {
    for (size_t j = 0; j < shape.subquantizers; ++j) {
      code[j] = block[j * kLutScanBlockVectors + lane];
    }
    return;
  }
  const bool by_lane = HWY_DYNAMIC_DISPATCH(NibblesByLane)();
  const int shift = lane < kHalf ? 0 : 4;
  for (size_t j = 0; j < shape.subquantizers; ++j) {
    const uint8_t nibble = (block[NibbleByte(by_lane, j, lane)] >> shift) & 15;
    code[j / 2] |= static_cast<uint8_t>(nibble << (j % 2 * 4));
  }
}

float LutScanBias(const LutScanShape& shape, const uint8_t* block, size_t lane) {
  return Biases(shape, const_cast<uint8_t*>(block))[lane];
}

Slot LutScanSlot(const LutScanShape& shape, const uint8_t* block, size_t lane) {
  return Slots(shape, const_cast<uint8_t*>(block))[lane];
}

const Slot* LutScanSlots(const LutScanShape& shape, const uint8_t* block) {
  return Slots(shape, const_cast<uint8_t*>(block));
}

void LutScan(const LutScanShape& shape, const LutScanBlocks& blocks, LutScanQuery* const* queries,
             size_t num_queries) {
  HWY_DYNAMIC_DISPATCH(Scan)(shape, blocks, queries, num_queries);
}

void LutScanMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                   const uint32_t* lanes, LutScanQuery* query) {
  HWY_DYNAMIC_DISPATCH(ScanMasked)(shape, blocks, num_blocks, lanes, query);
}

}  // namespace tessera
#endif  // HWY_ONCE
