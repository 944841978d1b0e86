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
  // Room for slots below `end`; empty.
  explicit SlotMask(Slot end) : words_((size_t{end} + 63) / 64), end_(end) {}

  void Insert(Slot slot) { words_[slot / 64] |= uint64_t{1} << (slot % 64); }
  bool Contains(Slot slot) const {
    return slot < end_ && ((words_[slot / 64] >> (slot % 64)) & 1) != 0;
  }
  Slot end() const { return end_; }
  uint64_t* words() { return words_.data(); }
  size_t num_words() const { return words_.size(); }

 private:
  std::vector<uint64_t> words_;
  Slot end_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_SLOT_MASK_H_
