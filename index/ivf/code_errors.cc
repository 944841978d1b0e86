#include "index/ivf/code_errors.h"

#include <limits>

namespace tessera {
namespace {

constexpr int kDroppedBits = 16;  // of a float: sign, exponent and 7 bits of the fraction stay

}  // namespace

CodeErrors::~CodeErrors() {
  for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

uint16_t CodeErrors::RoundUp(float error) {
  // No number bounds nothing.
  if (!(error >= 0)) error = std::numeric_limits<float>::infinity();
  // The bits of a float that is not negative grow with it; one too large for 16 is infinite.
  const auto bits = std::bit_cast<uint32_t>(error);
  const uint32_t up = (uint32_t{1} << kDroppedBits) - 1;
  return static_cast<uint16_t>((bits + up) >> kDroppedBits);
}

void CodeErrors::Set(Slot slot, float error) {
  std::atomic<Chunk*>& place = chunks_[ChunkIndex(slot)];
  if (place.load(std::memory_order_relaxed) == nullptr) {
    auto* chunk = new Chunk(kFirstChunkSlots << ChunkIndex(slot));
    place.store(chunk, std::memory_order_release);
  }
  At(slot).store(RoundUp(error), std::memory_order_relaxed);
  if (slot >= end_.load(std::memory_order_relaxed)) {
    end_.store(uint64_t{slot} + 1, std::memory_order_relaxed);
  }
}

void CodeErrors::Shrink(uint64_t end) {
  if (end >= end_.load(std::memory_order_relaxed)) return;
  end_.store(end, std::memory_order_relaxed);
  for (size_t i = 0; i < kChunks; ++i) {
    Chunk* chunk = chunks_[i].load(std::memory_order_relaxed);
    const uint64_t first = (kFirstChunkSlots << i) - kFirstChunkSlots;
    if (chunk == nullptr || end >= first + chunk->size()) continue;
    chunk->ReleaseFrom(end <= first ? 0 : end - first);
  }
}

void CodeErrors::Raise(Slot slot, float error) {
  const auto place = At(slot);
  const uint16_t raised = RoundUp(error);
  if (raised > place.load(std::memory_order_relaxed)) {
    place.store(raised, std::memory_order_relaxed);
  }
}

float CodeErrors::Get(Slot slot) const {
  return std::bit_cast<float>(uint32_t{At(slot).load(std::memory_order_relaxed)} << kDroppedBits);
}

}  // namespace tessera
