#ifndef TESSERA_INDEX_BASE_SLOT_MASK_H_
#define TESSERA_INDEX_BASE_SLOT_MASK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// A set of slots as one bit each: 125 KB for a million, which stays in the second-level cache while
// lists are scanned. Not thread-safe while it is filled; immutable for readers after that.
class SlotMask {
 public:
  static constexpr size_t kWordBits = 32;

  // Room for slots below `end`; empty. There is a bit for `end` too, which stays zero: kernels look
  // there for every slot beyond.
  explicit SlotMask(Slot end) : words_(size_t{end} / kWordBits + 1), end_(end) {}
  // Makes it as new, and keeps its memory.
  void Reset(Slot end) {
    words_.assign(size_t{end} / kWordBits + 1, 0);
    end_ = end;
  }

  void Insert(Slot slot) { words_[slot / kWordBits] |= uint32_t{1} << (slot % kWordBits); }
  bool Contains(Slot slot) const {
    return slot < end_ && ((words_[slot / kWordBits] >> (slot % kWordBits)) & 1) != 0;
  }
  Slot end() const { return end_; }
  // Bit i of word w is slot w * kWordBits + i. Whoever writes words leaves the bits from `end` on
  // zero.
  uint32_t* words() { return words_.data(); }
  const uint32_t* words() const { return words_.data(); }
  size_t num_words() const { return words_.size(); }

 private:
  std::vector<uint32_t> words_;
  Slot end_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_SLOT_MASK_H_
