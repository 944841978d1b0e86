#include "index/ivf/code_errors.h"

#include <limits>

namespace tessera {
namespace {

constexpr int kDroppedBits = 16;  // of a float: sign, exponent and 7 bits of the fraction stay

}  // namespace

CodeErrors::~CodeErrors() {
  for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

void CodeErrors::Set(Slot slot, float error) {
  std::atomic<Chunk*>& place = chunks_[ChunkIndex(slot)];
  Chunk* chunk = place.load(std::memory_order_relaxed);
  if (chunk == nullptr) {
    chunk = new Chunk(kFirstChunkSlots << ChunkIndex(slot));
    bytes_.fetch_add(chunk->size() * sizeof(uint16_t), std::memory_order_relaxed);
    place.store(chunk, std::memory_order_release);
  }
  // No number bounds nothing.
  if (!(error >= 0)) error = std::numeric_limits<float>::infinity();
  // The bits of a float that is not negative grow with it; one too large for 16 is infinite.
  const auto bits = std::bit_cast<uint32_t>(error);
  const uint32_t up = (uint32_t{1} << kDroppedBits) - 1;
  chunk->data()[OffsetIn(slot)] = static_cast<uint16_t>((bits + up) >> kDroppedBits);
}

float CodeErrors::Get(Slot slot) const {
  const Chunk* chunk = chunks_[ChunkIndex(slot)].load(std::memory_order_acquire);
  return std::bit_cast<float>(uint32_t{chunk->data()[OffsetIn(slot)]} << kDroppedBits);
}

}  // namespace tessera
