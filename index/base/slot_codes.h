#ifndef TESSERA_INDEX_BASE_SLOT_CODES_H_
#define TESSERA_INDEX_BASE_SLOT_CODES_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "index/base/buffer.h"
#include "index/base/types.h"

namespace tessera {

// 16 bits for each slot, by which filters tell slots apart; 0 where none has been set.
//
// One writer; readers without a lock, of slots that the writer has published to them. A reader that
// asks for a slot that is being set gets its code from before or after. Chunks double in size and
// never move. To be held by std::make_shared: who keeps a weak_ptr may tell it from others by its
// address (BlockCodes).
class SlotCodes {
 public:
  // Of kInvalidSlot, and of no other.
  static constexpr uint16_t kNoSlot = 0xFFFF;

  SlotCodes() = default;
  SlotCodes(const SlotCodes&) = delete;
  SlotCodes& operator=(const SlotCodes&) = delete;
  ~SlotCodes();

  void Set(Slot slot, uint16_t code);
  // codes[i] = that of slots[i].
  void Read(std::span<const Slot> slots, uint16_t* codes) const;
  size_t memory_bytes() const { return sizeof(*this) + bytes_.load(std::memory_order_relaxed); }

 private:
  // Chunk i holds the kFirstChunkSlots << i slots from kFirstChunkSlots * (2^i - 1) on.
  static constexpr uint64_t kFirstChunkSlots = 4096;
  static constexpr size_t kChunks = 21;
  using Chunk = AlignedBuffer<uint16_t>;

  static size_t ChunkIndex(Slot slot) {
    return std::bit_width((uint64_t{slot} + kFirstChunkSlots) / kFirstChunkSlots) - 1;
  }
  static uint64_t FirstSlot(size_t chunk) { return (kFirstChunkSlots << chunk) - kFirstChunkSlots; }

  std::array<std::atomic<Chunk*>, kChunks> chunks_{};
  std::atomic<size_t> bytes_{0};
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_SLOT_CODES_H_
