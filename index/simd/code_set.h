#ifndef TESSERA_INDEX_SIMD_CODE_SET_H_
#define TESSERA_INDEX_SIMD_CODE_SET_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

// A set of codes of 16 bits, as ranges and as one bit each. Immutable for readers once it is filled.
class CodeSet {
 public:
  struct Range {
    uint16_t first;
    uint16_t last;  // in it
  };

  // In any order; ranges may meet.
  void Insert(uint16_t first, uint16_t last);
  void Insert(uint16_t code) { Insert(code, code); }
  // Merges ranges, and makes the bits if there are too many of them to be compared one by one. To
  // be called when all are inserted.
  void Finish();
  // Makes it all codes up to `last` that are not in it, as finished.
  void Negate(uint16_t last);

  bool Contains(uint16_t code) const;
  // Ascending, apart from each other.
  const std::vector<Range>& ranges() const { return ranges_; }
  // Bit i of word w is code w * 32 + i. Empty where ranges are few.
  const std::vector<uint32_t>& words() const { return words_; }
  bool empty() const { return ranges_.empty(); }
  uint16_t last() const { return ranges_.back().last; }

 private:
  std::vector<Range> ranges_;
  std::vector<uint32_t> words_;
};

// Codes come in blocks of so many: as many as a block of packed codes has vectors.
inline constexpr size_t kCodeSetBlock = 32;

// lanes[b] = which of the codes of block b are in the set: bit i stands for code i. `codes` are
// 64-byte aligned.
void CodeLanes(const uint16_t* codes, size_t num_blocks, const CodeSet& set, uint32_t* lanes);

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_CODE_SET_H_
