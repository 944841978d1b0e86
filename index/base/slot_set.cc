#include "index/base/slot_set.h"

namespace tessera {

SlotSet::~SlotSet() {
  for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
}

void SlotSet::Insert(Slot slot) {
  auto& entry = chunks_[slot >> kChunkBits];
  std::atomic<uint64_t>* chunk = entry.load(std::memory_order_relaxed);
  if (chunk == nullptr) {
    chunk = new std::atomic<uint64_t>[kChunkSlots / 64]();
    entry.store(chunk, std::memory_order_release);
  }
  const uint32_t bit = slot & (kChunkSlots - 1);
  const uint64_t mask = uint64_t{1} << (bit % 64);
  if (!(chunk[bit / 64].fetch_or(mask, std::memory_order_relaxed) & mask)) {
    size_.fetch_add(1, std::memory_order_relaxed);
  }
}

void SlotSet::Erase(Slot slot) {
  std::atomic<uint64_t>* chunk = chunks_[slot >> kChunkBits].load(std::memory_order_relaxed);
  if (chunk == nullptr) return;
  const uint32_t bit = slot & (kChunkSlots - 1);
  const uint64_t mask = uint64_t{1} << (bit % 64);
  if (chunk[bit / 64].fetch_and(~mask, std::memory_order_relaxed) & mask) {
    size_.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace tessera
