// Scan kernels for every target, in Highway's portable operations: 4-bit codes with the byte
// shuffle (16-bit sums; Andre et al., "Cache locality is not enough", VLDB 2015), 8-bit codes with
// loads. Included once per target by lut_scan.cc.

#if defined(TESSERA_INDEX_SIMD_LUT_SCAN_SHUFFLE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_LUT_SCAN_SHUFFLE_INL_H_
#undef TESSERA_INDEX_SIMD_LUT_SCAN_SHUFFLE_INL_H_
#else
#define TESSERA_INDEX_SIMD_LUT_SCAN_SHUFFLE_INL_H_
#endif

#include <algorithm>

#include "hwy/highway.h"
#include "index/simd/lut_scan.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Appends the lanes of one block whose distance is below the threshold; if kMasked, of those with a
// bit in `lanes`.
template <bool kMasked>
HWY_INLINE void KeepSurvivors(const LutScanShape& shape, const uint8_t* block,
                              const int32_t* HWY_RESTRICT sums, uint32_t lanes,
                              LutScanQuery& query) {
  const hn::CappedTag<float, 16> df;
  const hn::Rebind<int32_t, decltype(df)> di;
  const hn::Rebind<uint32_t, decltype(df)> du;
  const float* biases = reinterpret_cast<const float*>(block + shape.packed_codes_bytes());
  const uint32_t* slots = reinterpret_cast<const uint32_t*>(biases + kLutScanBlockVectors);
  const auto scale = hn::Set(df, query.scale);
  const auto offset = hn::Set(df, query.offset);
  const auto threshold = hn::Set(df, query.threshold);
  for (size_t i = 0; i < kLutScanBlockVectors; i += hn::Lanes(df)) {
    const auto sum = hn::ConvertTo(df, hn::Load(di, sums + i));
    const auto distance = hn::Add(hn::MulAdd(sum, scale, hn::Load(df, biases + i)), offset);
    auto keep = hn::Lt(distance, threshold);
    if constexpr (kMasked) {
      const uint64_t allowed = lanes >> i;
      keep = hn::And(keep, hn::LoadMaskBits(df, reinterpret_cast<const uint8_t*>(&allowed)));
    }
    if (hn::AllFalse(df, keep)) continue;
    hn::StoreU(hn::Compress(distance, keep), df, query.distances + query.count);
    const auto keep_slots = hn::RebindMask(du, keep);
    hn::StoreU(hn::Compress(hn::Load(du, slots + i), keep_slots), du, query.slots + query.count);
    query.count += hn::CountTrue(df, keep);
  }
}

// sums[i] += the entries of tables [begin, end) for lane i, nibbles arranged by table; at most 256
// tables, so that 16-bit sums cannot overflow.
HWY_INLINE void AddNibbles(const uint8_t* HWY_RESTRICT codes, const uint8_t* HWY_RESTRICT tables,
                           size_t begin, size_t end, int32_t* HWY_RESTRICT sums) {
  const hn::CappedTag<uint8_t, 64> d8;
  const hn::Repartition<uint16_t, decltype(d8)> d16;
  const auto low_mask = hn::Set(d8, 15);
  // A 16-bit lane adds two bytes at once; the odd one is summed again by itself, and subtracted.
  auto pairs_low = hn::Zero(d16), odd_low = hn::Zero(d16);
  auto pairs_high = hn::Zero(d16), odd_high = hn::Zero(d16);
  for (size_t at = begin * 16; at < end * 16; at += hn::Lanes(d8)) {
    const auto code = hn::Load(d8, codes + at);
    const auto table = hn::Load(d8, tables + at);
    const auto high = hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, code)));
    const auto a = hn::BitCast(d16, hn::TableLookupBytes(table, hn::And(code, low_mask)));
    const auto b = hn::BitCast(d16, hn::TableLookupBytes(table, hn::And(high, low_mask)));
    pairs_low = hn::Add(pairs_low, a);
    odd_low = hn::Add(odd_low, hn::ShiftRight<8>(a));
    pairs_high = hn::Add(pairs_high, b);
    odd_high = hn::Add(odd_high, hn::ShiftRight<8>(b));
  }
  const auto even_low = hn::Sub(pairs_low, hn::ShiftLeft<8>(odd_low));
  const auto even_high = hn::Sub(pairs_high, hn::ShiftLeft<8>(odd_high));
  HWY_ALIGN uint16_t even[2][32], odd[2][32];
  hn::Store(even_low, d16, even[0]);
  hn::Store(odd_low, d16, odd[0]);
  hn::Store(even_high, d16, even[1]);
  hn::Store(odd_high, d16, odd[1]);
  // Each 16 bytes of the vector hold another table's share of the same lanes; all shares together
  // still fit 16 bits.
  const hn::FixedTag<uint16_t, 8> d8x16;
  HWY_ALIGN uint16_t lanes[kLutScanBlockVectors];
  for (size_t half = 0; half < 2; ++half) {
    auto evens = hn::Load(d8x16, even[half]);
    auto odds = hn::Load(d8x16, odd[half]);
    for (size_t part = 8; part < hn::Lanes(d16); part += 8) {
      evens = hn::Add(evens, hn::Load(d8x16, even[half] + part));
      odds = hn::Add(odds, hn::Load(d8x16, odd[half] + part));
    }
    hn::Store(hn::InterleaveLower(d8x16, evens, odds), d8x16, lanes + half * 16);
    hn::Store(hn::InterleaveUpper(d8x16, evens, odds), d8x16, lanes + half * 16 + 8);
  }
  for (size_t i = 0; i < kLutScanBlockVectors; ++i) sums[i] += lanes[i];
}

// Scans each block for each query; `sum_block` makes the sums of one block for one query. If
// kMasked, lanes[b] says which lanes of block b count.
template <bool kMasked, class SumBlock>
HWY_INLINE void ScanBlocks(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                           const uint32_t* lanes, LutScanQuery* const* queries, size_t num_queries,
                           const SumBlock& sum_block) {
  for (size_t b = 0; b < num_blocks; ++b) {
    if (kMasked && lanes[b] == 0) continue;
    const uint8_t* block = blocks + b * shape.block_bytes();
    for (size_t q = 0; q < num_queries; ++q) {
      HWY_ALIGN int32_t sums[kLutScanBlockVectors] = {};
      sum_block(block, queries[q]->tables, sums);
      KeepSurvivors<kMasked>(shape, block, sums, kMasked ? lanes[b] : 0, *queries[q]);
    }
  }
}

#if HWY_TARGET != HWY_AVX3_DL
template <bool kMasked>
HWY_INLINE void ScanNibblesOf(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                              const uint32_t* lanes, LutScanQuery* const* queries,
                              size_t num_queries) {
  constexpr size_t kTablesAtOnce = 256;
  const size_t tables = shape.tables();
  ScanBlocks<kMasked>(shape, blocks, num_blocks, lanes, queries, num_queries,
                      [tables](const uint8_t* block, const uint8_t* lut, int32_t* sums) {
                        for (size_t begin = 0; begin < tables; begin += kTablesAtOnce) {
                          const size_t end = std::min(begin + kTablesAtOnce, tables);
                          AddNibbles(block, lut, begin, end, sums);
                        }
                      });
}

void ScanNibbles(const LutScanShape& shape, const LutScanBlocks& blocks,
                 LutScanQuery* const* queries, size_t num_queries) {
  ScanNibblesOf<false>(shape, blocks.first, blocks.count, nullptr, queries, num_queries);
  if (blocks.tail != nullptr) {
    ScanNibblesOf<false>(shape, blocks.tail, 1, nullptr, queries, num_queries);
  }
}

void ScanNibblesMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                       const uint32_t* lanes, LutScanQuery* query) {
  ScanNibblesOf<true>(shape, blocks, num_blocks, lanes, &query, 1);
}
#endif

// 8-bit codes: subquantizer j has 32 bytes, one per lane. The tables are in cache; a load a lookup.
HWY_INLINE void SumBytes(size_t subquantizers, const uint8_t* block, const uint8_t* tables,
                         int32_t* HWY_RESTRICT sums) {
  constexpr size_t kLanes = 8;  // sums held in registers
  for (size_t i = 0; i < kLutScanBlockVectors; i += kLanes) {
    int32_t sum[kLanes] = {};
    for (size_t j = 0; j < subquantizers; ++j) {
      const uint8_t* table = tables + j * 256;
      const uint8_t* code = block + j * kLutScanBlockVectors + i;
      for (size_t k = 0; k < kLanes; ++k) sum[k] += table[code[k]];
    }
    for (size_t k = 0; k < kLanes; ++k) sums[i + k] = sum[k];
  }
}

template <bool kMasked>
void ScanBytes(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
               const uint32_t* lanes, LutScanQuery* const* queries, size_t num_queries) {
  ScanBlocks<kMasked>(
      shape, blocks, num_blocks, lanes, queries, num_queries,
      [m = size_t{shape.subquantizers}](const uint8_t* block, const uint8_t* lut, int32_t* sums) {
        SumBytes(m, block, lut, sums);
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // include guard, once per target
