// The scan kernel of 4-bit codes for AVX-512 with VBMI and VNNI. One 64-byte register holds four
// subquantizers' nibbles of 32 vectors; vpermb looks up four tables of 16 entries at once, and
// vpdpbusd adds each vector's four entries into its 32-bit lane, so that sums never overflow.
// Included once per target by lut_scan.cc.

#if defined(TESSERA_INDEX_SIMD_LUT_SCAN_AVX512_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_LUT_SCAN_AVX512_INL_H_
#undef TESSERA_INDEX_SIMD_LUT_SCAN_AVX512_INL_H_
#else
#define TESSERA_INDEX_SIMD_LUT_SCAN_AVX512_INL_H_
#endif

#include "hwy/highway.h"
#include "index/simd/lut_scan.h"

#if HWY_TARGET == HWY_AVX3_DL
#include <immintrin.h>

// Highway asks the processor for VNNI before it chooses this target, but does not name it to the
// compiler.
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512vnni")
namespace tessera {
namespace HWY_NAMESPACE {

// The blocks of a tile, one after the other.
struct AdjacentBlocks {
  static constexpr bool kMasked = false;
  const uint8_t* first;
  size_t block_bytes;

  const uint8_t* block(int b) const { return first + static_cast<size_t>(b) * block_bytes; }
};

// The blocks of a tile, anywhere.
template <int kBlocks>
struct ScatteredBlocks {
  static constexpr bool kMasked = false;
  const uint8_t* blocks[kBlocks];

  const uint8_t* block(int b) const { return blocks[b]; }
};

// The same, of which only the lanes with a bit in lanes[b] count.
template <int kBlocks>
struct MaskedBlocks : ScatteredBlocks<kBlocks> {
  static constexpr bool kMasked = true;
  uint32_t lanes[kBlocks];
};

// Appends the vectors of kBlocks blocks whose distance is below the threshold. One branch for all
// of them: where a threshold has not settled, a branch for each 16 lanes would be guessed wrong
// often, and costs more than compressing them whether any is kept or not. `codes_bytes` of a block
// lie before its biases.
template <int kBlocks, class Blocks>
HWY_INLINE void KeepSurvivors(const __m512i (&sums)[kBlocks][2], const Blocks& blocks,
                              size_t codes_bytes, LutScanQuery& query) {
  const __m512 scale = _mm512_set1_ps(query.scale);
  const __m512 offset = _mm512_set1_ps(query.offset);
  const __m512 threshold = _mm512_set1_ps(query.threshold);
  __m512 distances[kBlocks][2];
  __mmask16 keep[kBlocks][2];
  __mmask16 any = 0;
  for (int b = 0; b < kBlocks; ++b) {
    const uint8_t* biases = blocks.block(b) + codes_bytes;
    for (int h = 0; h < 2; ++h) {
      const __m512 scaled =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[b][h]), scale, _mm512_load_ps(biases + 64 * h));
      distances[b][h] = _mm512_add_ps(scaled, offset);
      if constexpr (Blocks::kMasked) {
        const auto allowed = static_cast<__mmask16>(blocks.lanes[b] >> (16 * h));
        keep[b][h] = _mm512_mask_cmp_ps_mask(allowed, distances[b][h], threshold, _CMP_LT_OQ);
      } else {
        keep[b][h] = _mm512_cmp_ps_mask(distances[b][h], threshold, _CMP_LT_OQ);
      }
      any = _kor_mask16(any, keep[b][h]);
    }
  }
  if (any == 0) return;
  size_t count = query.count;
  for (int b = 0; b < kBlocks; ++b) {
    const uint8_t* slots = blocks.block(b) + codes_bytes + 4 * kLutScanBlockVectors;
    for (int h = 0; h < 2; ++h) {
      // In registers: the form with a memory operand is slow on some processors.
      _mm512_storeu_ps(query.distances + count,
                       _mm512_maskz_compress_ps(keep[b][h], distances[b][h]));
      _mm512_storeu_si512(query.slots + count, _mm512_maskz_compress_epi32(
                                                   keep[b][h], _mm512_load_si512(slots + 64 * h)));
      count += static_cast<size_t>(__builtin_popcount(keep[b][h]));
    }
  }
  query.count = count;
}

// Adds the entries of four tables, at byte `at` of the codes and of the tables, to the sums of
// kBlocks blocks for kQueries queries, which share the loads of codes and the making of indices.
template <int kBlocks, int kQueries, class Blocks>
HWY_INLINE void AddFourTables(const Blocks& blocks, size_t at,
                              const uint8_t* const* HWY_RESTRICT tables,
                              __m512i (&sums)[kQueries][kBlocks][2]) {
  const __m512i nibble_mask = _mm512_set1_epi8(15);
  const __m512i ones = _mm512_set1_epi8(1);
  // Byte t of a lane's four looks into table t: entries 16t to 16t + 15 of the 64.
  const __m512i selector = _mm512_set1_epi32(0x30201000);
  constexpr int kMaskThenOr = 0xEA;  // (a & b) | c
  __m512i index[kBlocks][2];
  for (int b = 0; b < kBlocks; ++b) {
    const __m512i low = _mm512_load_si512(blocks.block(b) + at);
    const __m512i high = _mm512_srli_epi16(low, 4);
    index[b][0] = _mm512_ternarylogic_epi32(low, nibble_mask, selector, kMaskThenOr);
    index[b][1] = _mm512_ternarylogic_epi32(high, nibble_mask, selector, kMaskThenOr);
  }
  for (int q = 0; q < kQueries; ++q) {
    const __m512i table = _mm512_load_si512(tables[q] + at);
    for (int b = 0; b < kBlocks; ++b) {
      for (int h = 0; h < 2; ++h) {
        const __m512i entries = _mm512_permutexvar_epi8(index[b][h], table);
        sums[q][b][h] = _mm512_dpbusd_epi32(sums[q][b][h], entries, ones);
      }
    }
  }
}

// Scans kBlocks blocks for kQueries queries. kChains sums of each vector run side by side where
// there would be too few to hide the latency of the additions.
template <int kBlocks, int kQueries, int kChains, class Blocks>
HWY_INLINE void ScanTile(const LutScanShape& shape, const Blocks& blocks,
                         LutScanQuery* const* queries) {
  __m512i sums[kChains][kQueries][kBlocks][2];
  const uint8_t* tables[kQueries];
  for (int q = 0; q < kQueries; ++q) {
    tables[q] = queries[q]->tables;
    for (int b = 0; b < kBlocks; ++b) {
      for (int c = 0; c < kChains; ++c) {
        sums[c][q][b][0] = sums[c][q][b][1] = _mm512_setzero_si512();
      }
    }
  }
  const size_t bytes = shape.packed_codes_bytes();
  size_t at = 0;
  for (; at + 64 * kChains <= bytes; at += 64 * kChains) {
    for (int c = 0; c < kChains; ++c) {
      AddFourTables<kBlocks, kQueries>(blocks, at + 64 * c, tables, sums[c]);
    }
  }
  for (; at < bytes; at += 64) {
    AddFourTables<kBlocks, kQueries>(blocks, at, tables, sums[0]);
  }
  for (int q = 0; q < kQueries; ++q) {
    for (int b = 0; b < kBlocks; ++b) {
      for (int h = 0; h < 2; ++h) {
        for (int c = 1; c < kChains; ++c) {
          sums[0][q][b][h] = _mm512_add_epi32(sums[0][q][b][h], sums[c][q][b][h]);
        }
      }
    }
    KeepSurvivors<kBlocks>(sums[0][q], blocks, bytes, *queries[q]);
  }
}

// Sums that run side by side in a tile of so few blocks.
template <int kBlocks, int kQueries>
constexpr int Chains() {
  if (kBlocks > 2) return 1;
  return kBlocks == 1 && kQueries == 1 ? 4 : 2;
}

template <int kBlocks, int kQueries>
HWY_INLINE void ScanScattered(const LutScanShape& shape, const uint8_t* const* some,
                              LutScanQuery* const* queries) {
  ScatteredBlocks<kBlocks> blocks;
  for (int b = 0; b < kBlocks; ++b) blocks.blocks[b] = some[b];
  ScanTile<kBlocks, kQueries, Chains<kBlocks, kQueries>()>(shape, blocks, queries);
}

// Scans all blocks for kQueries queries, kBlocks at a time; those left, and the tail, in one tile.
template <int kQueries, int kBlocks>
HWY_INLINE void ScanAll(const LutScanShape& shape, const LutScanBlocks& all,
                        LutScanQuery* const* queries) {
  AdjacentBlocks blocks{all.first, shape.block_bytes()};
  size_t left = all.count;
  for (; left >= kBlocks; left -= kBlocks, blocks.first += kBlocks * blocks.block_bytes) {
    ScanTile<kBlocks, kQueries, 1>(shape, blocks, queries);
  }
  const uint8_t* rest[kBlocks];
  for (size_t b = 0; b < left; ++b) rest[b] = blocks.first + b * blocks.block_bytes;
  if (all.tail != nullptr) rest[left++] = all.tail;
  if constexpr (kBlocks > 2) {
    if (left == 4) return ScanScattered<4, kQueries>(shape, rest, queries);
    if (left == 3) return ScanScattered<3, kQueries>(shape, rest, queries);
  }
  if (left == 2) return ScanScattered<2, kQueries>(shape, rest, queries);
  if (left == 1) ScanScattered<1, kQueries>(shape, rest, queries);
}

void ScanNibbles(const LutScanShape& shape, const LutScanBlocks& blocks,
                 LutScanQuery* const* queries, size_t num_queries) {
  for (; num_queries >= 4; num_queries -= 4, queries += 4) ScanAll<4, 2>(shape, blocks, queries);
  if (num_queries == 3) ScanAll<3, 2>(shape, blocks, queries);
  if (num_queries == 2) ScanAll<2, 2>(shape, blocks, queries);
  if (num_queries == 1) ScanAll<1, 4>(shape, blocks, queries);
}

template <int kBlocks>
HWY_INLINE void ScanMaskedTile(const LutScanShape& shape, const MaskedBlocks<4>& some,
                               LutScanQuery* query) {
  MaskedBlocks<kBlocks> blocks;
  for (int b = 0; b < kBlocks; ++b) {
    blocks.blocks[b] = some.blocks[b];
    blocks.lanes[b] = some.lanes[b];
  }
  ScanTile<kBlocks, 1, Chains<kBlocks, 1>()>(shape, blocks, &query);
}

void ScanNibblesMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                       const uint32_t* lanes, LutScanQuery* query) {
  MaskedBlocks<4> tile;
  int n = 0;
  for (size_t b = 0; b < num_blocks; ++b) {
    tile.blocks[n] = blocks + b * shape.block_bytes();
    tile.lanes[n] = lanes[b];
    n += lanes[b] != 0 ? 1 : 0;
    if (n < 4) continue;
    ScanMaskedTile<4>(shape, tile, query);
    n = 0;
  }
  if (n == 3) ScanMaskedTile<3>(shape, tile, query);
  if (n == 2) ScanMaskedTile<2>(shape, tile, query);
  if (n == 1) ScanMaskedTile<1>(shape, tile, query);
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3_DL

#endif  // include guard, once per target
