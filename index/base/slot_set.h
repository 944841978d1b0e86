#ifndef TESSERA_INDEX_BASE_SLOT_SET_H_
#define TESSERA_INDEX_BASE_SLOT_SET_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "index/base/types.h"

namespace tessera {

// A growing set of slots, as a bitmap in chunks that never move. One writer, any number of readers
// without a lock: a reader sees a slot's removal or insertion at some moment during its call.
class SlotSet {
 public:
  SlotSet() = default;
  SlotSet(const SlotSet&) = delete;
  SlotSet& operator=(const SlotSet&) = delete;
  ~SlotSet();

  void Insert(Slot slot);
  void Erase(Slot slot);
  bool Contains(Slot slot) const {
    const std::atomic<uint64_t>* chunk =
        chunks_[slot >> kChunkBits].load(std::memory_order_acquire);
    if (chunk == nullptr) return false;
    const uint32_t bit = slot & (kChunkSlots - 1);
    return (chunk[bit / 64].load(std::memory_order_relaxed) >> (bit % 64)) & 1;
  }
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kChunkBits = 20;
  static constexpr uint32_t kChunkSlots = 1u << kChunkBits;

  std::array<std::atomic<std::atomic<uint64_t>*>, (uint64_t{1} << 32) / kChunkSlots> chunks_{};
  std::atomic<size_t> size_{0};
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_SLOT_SET_H_
