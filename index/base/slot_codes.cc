#include "index/base/slot_codes.h"

namespace tessera {

SlotCodes::~SlotCodes() {
  for (auto& chunk : chunks_) delete chunk.load();
}

void SlotCodes::Set(Slot slot, uint16_t code) {
  const size_t index = ChunkIndex(slot);
  Chunk* chunk = chunks_[index].load(std::memory_order_relaxed);
  if (chunk == nullptr) {
    chunk = new Chunk(kFirstChunkSlots << index);
    chunks_[index].store(chunk, std::memory_order_release);
    bytes_.fetch_add(chunk->size() * sizeof(uint16_t), std::memory_order_relaxed);
  }
  std::atomic_ref<uint16_t>((*chunk)[slot - FirstSlot(index)])
      .store(code, std::memory_order_relaxed);
}

void SlotCodes::Read(std::span<const Slot> slots, uint16_t* codes) const {
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == kInvalidSlot) {
      codes[i] = kNoSlot;
      continue;
    }
    const size_t index = ChunkIndex(slots[i]);
    Chunk* chunk = chunks_[index].load(std::memory_order_acquire);
    codes[i] = chunk == nullptr ? uint16_t{0}
                                : std::atomic_ref<uint16_t>((*chunk)[slots[i] - FirstSlot(index)])
                                      .load(std::memory_order_relaxed);
  }
}

}  // namespace tessera
