#ifndef TESSERA_INDEX_IVF_CODE_ERRORS_H_
#define TESSERA_INDEX_IVF_CODE_ERRORS_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "index/base/buffer.h"
#include "index/base/types.h"

namespace tessera {

// The distance between each vector and its code, by slot: what bounds of scores are made of. Kept
// in 16 bits, rounded up, so that the bounds hold.
//
// One writer. Readers take no lock, and read only slots that the writer has published to them and
// does not set again as long as they may; to raise what they read is no harm to them. Chunks double
// in size and never move.
class CodeErrors {
 public:
  CodeErrors() = default;
  CodeErrors(const CodeErrors&) = delete;
  CodeErrors& operator=(const CodeErrors&) = delete;
  ~CodeErrors();

  void Set(Slot slot, float error);
  // Sets a slot again that has been set, if that is more: it holds for both.
  void Raise(Slot slot, float error);
  // At least what was set, and at most 1/128 more.
  float Get(Slot slot) const;

  // Slots from `end` on are not read until they are set again: gives their memory back.
  void Shrink(uint64_t end);

  size_t memory_bytes() const { return end_.load(std::memory_order_relaxed) * sizeof(uint16_t); }

 private:
  // Chunk i holds the kFirstChunkSlots << i slots from kFirstChunkSlots * (2^i - 1) on.
  static constexpr uint64_t kFirstChunkSlots = 1024;
  static constexpr size_t kChunks = 23;
  using Chunk = AlignedBuffer<uint16_t>;

  static uint16_t RoundUp(float error);
  std::atomic_ref<uint16_t> At(Slot slot) const {
    Chunk* chunk = chunks_[ChunkIndex(slot)].load(std::memory_order_acquire);
    return std::atomic_ref<uint16_t>(chunk->data()[OffsetIn(slot)]);
  }

  static size_t ChunkIndex(Slot slot) {
    return std::bit_width((uint64_t{slot} + kFirstChunkSlots) / kFirstChunkSlots) - 1;
  }
  static size_t OffsetIn(Slot slot) {
    return uint64_t{slot} + kFirstChunkSlots - (kFirstChunkSlots << ChunkIndex(slot));
  }

  std::array<std::atomic<Chunk*>, kChunks> chunks_{};
  std::atomic<uint64_t> end_{0};  // slots from it on take no memory
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_CODE_ERRORS_H_
