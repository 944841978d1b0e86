#include "server/engine/slot_table.h"

#include <cstring>
#include <string>

#include "index/base/limits.h"

namespace tessera {
namespace {

constexpr size_t kStringBlockBytes = 64 << 10;
static_assert(kStringBlockBytes > limits::kStringIdBytesMax + sizeof(uint16_t));

}  // namespace

SlotTable::~SlotTable() {
  for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

SlotTable::Chunk& SlotTable::EnsureChunk(Slot slot) {
  const size_t index = ChunkIndex(slot);
  Chunk* chunk = chunks_[index].load(std::memory_order_relaxed);
  if (chunk == nullptr) {
    const size_t slots = ChunkSlots(index);
    chunk =
        new Chunk{AlignedBuffer<uint64_t>(slots), AlignedBuffer<uint8_t>(slots),
                  AlignedBuffer<uint32_t>(slots), AlignedBuffer<std::byte>(slots * vector_bytes_)};
    chunks_[index].store(chunk, std::memory_order_release);
  }
  return *chunk;
}

uint64_t SlotTable::InternString(std::string_view text) {
  const size_t bytes = sizeof(uint16_t) + text.size();
  if (string_blocks_.empty() || string_block_used_ + bytes > kStringBlockBytes) {
    string_blocks_.push_back(std::make_unique<char[]>(kStringBlockBytes));
    string_block_used_ = 0;
  }
  char* place = string_blocks_.back().get() + string_block_used_;
  string_block_used_ += bytes;
  const uint16_t length = static_cast<uint16_t>(text.size());
  std::memcpy(place, &length, sizeof(length));
  std::memcpy(place + sizeof(length), text.data(), text.size());
  return reinterpret_cast<uint64_t>(place);
}

void SlotTable::Set(Slot slot, const PointId& id, const std::byte* vector) {
  Chunk& chunk = EnsureChunk(slot);
  const uint32_t offset = OffsetIn(slot);
  if (const uint64_t* number = std::get_if<uint64_t>(&id)) {
    chunk.ids[offset] = *number;
    chunk.is_string[offset] = 0;
  } else {
    chunk.ids[offset] = InternString(std::get<std::string>(id));
    chunk.is_string[offset] = 1;
  }
  SetVector(slot, vector);
}

void SlotTable::SetVector(Slot slot, const std::byte* vector) {
  if (vector_bytes_ == 0 || vector == nullptr) return;
  Chunk& chunk = EnsureChunk(slot);
  std::memcpy(chunk.vectors.data() + size_t{OffsetIn(slot)} * vector_bytes_, vector, vector_bytes_);
}

PointId SlotTable::id(Slot slot) const {
  const Chunk& chunk = ChunkOf(slot);
  const uint32_t offset = OffsetIn(slot);
  if (!chunk.is_string[offset]) return chunk.ids[offset];
  const char* place = reinterpret_cast<const char*>(chunk.ids[offset]);
  uint16_t length;
  std::memcpy(&length, place, sizeof(length));
  return std::string(place + sizeof(length), length);
}

size_t SlotTable::memory_bytes(Slot end) const {
  const size_t per_slot = sizeof(uint64_t) + sizeof(uint8_t) + sizeof(uint32_t) + vector_bytes_;
  return size_t{end} * per_slot + string_blocks_.size() * kStringBlockBytes;
}

}  // namespace tessera
