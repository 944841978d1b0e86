#ifndef TESSERA_INDEX_SIMD_LUT_SCAN_H_
#define TESSERA_INDEX_SIMD_LUT_SCAN_H_

#include <cstddef>
#include <cstdint>

#include "index/base/types.h"

namespace tessera {

// Codes are scanned in blocks of this many vectors. A block holds, one after the other, the packed
// codes, the bias (float) and the slot (uint32) of each of its vectors: a scan reads one stream.
inline constexpr size_t kLutScanBlockVectors = 32;

// The sizes that follow from a product quantizer of `subquantizers` x `nbits` (4 or 8).
struct LutScanShape {
  uint32_t subquantizers = 0;
  uint32_t nbits = 4;

  // 4-bit codes are scanned four tables at a time: the last group is filled up with zero tables.
  size_t tables() const { return nbits == 4 ? (subquantizers + 3) / 4 * 4 : subquantizers; }
  size_t table_entries() const { return size_t{1} << nbits; }
  size_t tables_bytes() const { return tables() * table_entries(); }
  // One code as it is stored row by row: subquantizer 0 first, in the low nibble.
  size_t code_bytes() const { return (size_t{subquantizers} * nbits + 7) / 8; }
  size_t packed_codes_bytes() const {
    return (tables() * nbits * kLutScanBlockVectors / 8 + 63) / 64 * 64;
  }
  // Where the slots begin in a block.
  size_t slots_offset() const {
    return packed_codes_bytes() + sizeof(float) * kLutScanBlockVectors;
  }
  size_t block_bytes() const { return slots_offset() + sizeof(Slot) * kLutScanBlockVectors; }
};

// The arrangement of nibbles in a block is chosen for the instruction set in use, and is private to
// the process: blocks are never stored. All functions here agree on it. Blocks are 64-byte aligned.

// Makes all lanes of a block empty; a scan never reports an empty lane.
void LutScanClear(const LutScanShape& shape, uint8_t* block);
// Sets one lane of a block.
void LutScanPut(const LutScanShape& shape, uint8_t* block, size_t lane, const uint8_t* code,
                float bias, Slot slot);
// Makes the lanes from `lane` on empty.
void LutScanTruncate(const LutScanShape& shape, uint8_t* block, size_t lane);
// Reads one lane: `code` gets code_bytes() bytes.
void LutScanGet(const LutScanShape& shape, const uint8_t* block, size_t lane, uint8_t* code);
float LutScanBias(const LutScanShape& shape, const uint8_t* block, size_t lane);
Slot LutScanSlot(const LutScanShape& shape, const uint8_t* block, size_t lane);
// The kLutScanBlockVectors slots of a block; kInvalidSlot in empty lanes.
const Slot* LutScanSlots(const LutScanShape& shape, const uint8_t* block);

// Room that the arrays of survivors need beyond what is counted, for stores of whole vectors.
inline constexpr size_t kLutScanSlack = 16;

// One query and where its survivors go.
struct LutScanQuery {
  const uint8_t* tables = nullptr;  // tables() x table_entries(), 64-byte aligned
  float scale = 1;                  // distance = scale * (sum of entries) + bias + offset
  float offset = 0;
  float threshold = 0;  // vectors with distance < threshold are appended to the arrays
  float* distances = nullptr;
  Slot* slots = nullptr;
  size_t count = 0;
};

// Blocks that lie one after the other, and perhaps one more anywhere else.
struct LutScanBlocks {
  const uint8_t* first = nullptr;
  size_t count = 0;
  const uint8_t* tail = nullptr;
};

// Scans blocks for each query; no two queries are the same. The arrays of each must have room for
// so many elements more than its count as the blocks hold, and kLutScanSlack.
void LutScan(const LutScanShape& shape, const LutScanBlocks& blocks, LutScanQuery* const* queries,
             size_t num_queries);
inline void LutScan(const LutScanShape& shape, const LutScanBlocks& blocks, LutScanQuery* query) {
  LutScan(shape, blocks, &query, 1);
}

// As LutScan for one query, but of block b only the lanes with a bit in lanes[b] can survive (bit i
// stands for lane i); of a block without a bit, nothing is read.
void LutScanMasked(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                   const uint32_t* lanes, LutScanQuery* query);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_LUT_SCAN_H_
