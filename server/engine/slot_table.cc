#include "server/engine/slot_table.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace tessera {
namespace {

// A string as a two-byte length and the bytes, on the heap.
uint64_t NewString(std::string_view text) {
  const auto length = static_cast<uint16_t>(text.size());
  char* place = new char[sizeof(length) + text.size()];
  std::memcpy(place, &length, sizeof(length));
  std::memcpy(place + sizeof(length), text.data(), text.size());
  return reinterpret_cast<uint64_t>(place);
}

std::string_view StringAt(uint64_t address) {
  const char* place = reinterpret_cast<const char*>(address);
  uint16_t length;
  std::memcpy(&length, place, sizeof(length));
  return {place + sizeof(length), length};
}

// What the allocator takes for a string: its bytes, the length, a header, in units of 16.
size_t HeapBytes(std::string_view text) {
  return (text.size() + sizeof(uint16_t) + sizeof(size_t) + 15) / 16 * 16;
}

}  // namespace

SlotTable::~SlotTable() {
  for (auto& entry : chunks_) {
    Chunk* chunk = entry.load(std::memory_order_relaxed);
    if (chunk == nullptr) continue;
    for (size_t i = 0; i < chunk->ids.size(); ++i) ClearId(*chunk, i);
    delete chunk;
  }
}

SlotTable::Chunk& SlotTable::EnsureChunk(Slot slot) {
  const size_t index = ChunkIndex(slot);
  Chunk* chunk = chunks_[index].load(std::memory_order_relaxed);
  if (chunk == nullptr) {
    const size_t slots = ChunkSlots(index);
    chunk = new Chunk{AlignedBuffer<uint64_t>(slots), AlignedBuffer<uint8_t>(slots),
                      AlignedBuffer<uint32_t>(slots), AlignedBuffer<std::byte>(slots * row_bytes_)};
    chunks_[index].store(chunk, std::memory_order_release);
  }
  return *chunk;
}

void SlotTable::ClearId(Chunk& chunk, size_t offset) {
  if (!chunk.is_string[offset]) return;
  string_bytes_.fetch_sub(HeapBytes(StringAt(chunk.ids[offset])), std::memory_order_relaxed);
  delete[] reinterpret_cast<char*>(chunk.ids[offset]);
  chunk.is_string[offset] = 0;
}

void SlotTable::ClearId(Slot slot) { ClearId(ChunkOf(slot), OffsetIn(slot)); }

void SlotTable::Set(Slot slot, const PointId& id, const std::byte* row) {
  Chunk& chunk = EnsureChunk(slot);
  touched_end_ = std::max(touched_end_, uint64_t{slot} + 1);
  const uint32_t offset = OffsetIn(slot);
  ClearId(chunk, offset);
  if (const uint64_t* number = std::get_if<uint64_t>(&id)) {
    chunk.ids[offset] = *number;
  } else {
    const std::string& text = std::get<std::string>(id);
    chunk.ids[offset] = NewString(text);
    chunk.is_string[offset] = 1;
    string_bytes_.fetch_add(HeapBytes(text), std::memory_order_relaxed);
  }
  if (row_bytes_ == 0 || row == nullptr) return;
  std::memcpy(chunk.rows.data() + size_t{offset} * row_bytes_, row, row_bytes_);
}

void SlotTable::SetLateRow(Slot slot, const std::byte* row) {
  std::byte* const place = ChunkOf(slot).rows.data() + size_t{OffsetIn(slot)} * row_bytes_;
  uint32_t first;
  std::memcpy(&first, row, sizeof(first));
  std::memcpy(place + sizeof(first), row + sizeof(first), row_bytes_ - sizeof(first));
  FirstOf(place).store(first, std::memory_order_release);
}

bool SlotTable::Shrink(uint64_t end) {
  // Not for each slot that comes and goes: pages that are given back are zeroed when they return.
  if (touched_end_ - std::min(end, touched_end_) < touched_end_ / 8 + kFirstChunkSlots) {
    return false;
  }
  touched_end_ = end;
  for (size_t i = 0; i < kChunks; ++i) {
    Chunk* chunk = chunks_[i].load(std::memory_order_relaxed);
    const uint64_t first = FirstSlot(i);
    if (chunk == nullptr || end >= first + ChunkSlots(i)) continue;
    const size_t offset = end <= first ? 0 : end - first;
    chunk->ids.ReleaseFrom(offset);
    chunk->is_string.ReleaseFrom(offset);
    chunk->lists.ReleaseFrom(offset);
    chunk->rows.ReleaseFrom(offset * row_bytes_);
  }
  return true;
}

PointId SlotTable::id(Slot slot) const {
  const Chunk& chunk = ChunkOf(slot);
  const uint32_t offset = OffsetIn(slot);
  if (!chunk.is_string[offset]) return chunk.ids[offset];
  return std::string(StringAt(chunk.ids[offset]));
}

size_t SlotTable::memory_bytes(Slot end) const {
  const size_t per_slot = sizeof(uint64_t) + sizeof(uint8_t) + sizeof(uint32_t) + row_bytes_;
  return size_t{end} * per_slot + string_bytes_.load(std::memory_order_relaxed);
}

}  // namespace tessera
