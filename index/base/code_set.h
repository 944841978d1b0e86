#ifndef TESSERA_INDEX_BASE_CODE_SET_H_
#define TESSERA_INDEX_BASE_CODE_SET_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

// A set of codes of 16 bits, as ranges and as one bit each. Immutable for readers once it is
// filled.
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

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_CODE_SET_H_
