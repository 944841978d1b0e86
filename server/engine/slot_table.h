#ifndef TESSERA_SERVER_ENGINE_SLOT_TABLE_H_
#define TESSERA_SERVER_ENGINE_SLOT_TABLE_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "index/base/buffer.h"
#include "index/base/types.h"
#include "server/engine/types.h"

namespace tessera {

// What is kept in memory of each slot: its point's id, its inverted list, and a row of bytes, its
// vector or what stands for it, if the collection keeps such. 13 bytes a slot and the row, and
// strings on the heap.
//
// One writer; readers without a lock, of slots that the writer has published to them and does not
// set again as long as they may read them (SlotAllocator).
// Chunks double in size and never move, so pointers stay valid for the table's life.
class SlotTable {
 public:
  // row_bytes: of one row; 0 where none are kept.
  explicit SlotTable(size_t row_bytes) : row_bytes_(row_bytes) {}
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  ~SlotTable();

  size_t row_bytes() const { return row_bytes_; }

  // `row` has row_bytes() bytes, or is null: the slot's row is to come, or none is kept.
  void Set(Slot slot, const PointId& id, const std::byte* row);
  // Gives a slot that has none its row, also while readers ask for it. Of rows whose first four
  // bytes are never all zero, and that are a multiple of four bytes long.
  void SetLateRow(Slot slot, const std::byte* row);
  // Frees the memory of an id that is not needed any more; harmless when called twice.
  void ClearId(Slot slot);
  // All slots in use are below `end`, and no reader asks for another one: gives the memory of those
  // above back, if it is worth it, and says so. They may be set again.
  bool Shrink(uint64_t end);
  // Readers may meet a list of the codebook before or after their view's. Who sees a list sees,
  // too, what its writer did before.
  void SetList(Slot slot, uint32_t list) {
    std::atomic_ref<uint32_t>(ChunkOf(slot).lists[OffsetIn(slot)])
        .store(list, std::memory_order_release);
  }

  PointId id(Slot slot) const;
  // Has what id() reads come into the cache.
  void FetchAheadId(Slot slot) const {
    const Chunk& chunk = ChunkOf(slot);
    __builtin_prefetch(chunk.ids.data() + OffsetIn(slot));
    __builtin_prefetch(chunk.is_string.data() + OffsetIn(slot));
  }
  uint32_t list(Slot slot) const {
    return std::atomic_ref<uint32_t>(ChunkOf(slot).lists[OffsetIn(slot)])
        .load(std::memory_order_acquire);
  }
  // lists[i] = list(slots[i]). Fastest where slots come in order: nothing but the reads, each of a
  // line of its own, which overlap.
  void ReadLists(std::span<const Slot> slots, uint32_t* lists) const {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint32_t* of_chunk = nullptr;
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] < begin || slots[i] >= end) {
        const size_t chunk = ChunkIndex(slots[i]);
        begin = FirstSlot(chunk);
        end = begin + ChunkSlots(chunk);
        of_chunk = ChunkOf(slots[i]).lists.data();
      }
      lists[i] =
          std::atomic_ref<uint32_t>(of_chunk[slots[i] - begin]).load(std::memory_order_acquire);
    }
  }
  // Null where rows are not kept.
  const std::byte* row(Slot slot) const {
    return row_bytes_ == 0 ? nullptr
                           : ChunkOf(slot).rows.data() + size_t{OffsetIn(slot)} * row_bytes_;
  }
  // Null as long as the slot's row is to come; of rows as SetLateRow has them.
  const std::byte* LateRow(Slot slot) const {
    const std::byte* const place = row(slot);
    return FirstOf(place).load(std::memory_order_acquire) == 0 ? nullptr : place;
  }
  // How many slots from `slot` on have their rows one after the other.
  size_t ContiguousSlots(Slot slot) const { return ChunkSlots(ChunkIndex(slot)) - OffsetIn(slot); }

  size_t memory_bytes(Slot end) const;

 private:
  // Chunk i holds the kFirstChunkSlots << i slots from kFirstChunkSlots * (2^i - 1) on.
  static constexpr uint64_t kFirstChunkSlots = 1024;
  static constexpr size_t kChunks = 23;

  struct Chunk {
    AlignedBuffer<uint64_t> ids;  // the number, or the address of a two-byte length and the bytes
    AlignedBuffer<uint8_t> is_string;
    AlignedBuffer<uint32_t> lists;
    AlignedBuffer<std::byte> rows;
  };

  static size_t ChunkIndex(Slot slot) {
    return std::bit_width((uint64_t{slot} + kFirstChunkSlots) / kFirstChunkSlots) - 1;
  }
  static size_t ChunkSlots(size_t chunk) { return kFirstChunkSlots << chunk; }
  static uint32_t OffsetIn(Slot slot) {
    const uint64_t v = uint64_t{slot} + kFirstChunkSlots;
    return static_cast<uint32_t>(v - (kFirstChunkSlots << ChunkIndex(slot)));
  }
  Chunk& ChunkOf(Slot slot) const {
    return *chunks_[ChunkIndex(slot)].load(std::memory_order_acquire);
  }
  static std::atomic_ref<uint32_t> FirstOf(const std::byte* row) {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(const_cast<std::byte*>(row)));
  }
  Chunk& EnsureChunk(Slot slot);
  void ClearId(Chunk& chunk, size_t offset);
  static uint64_t FirstSlot(size_t chunk) { return (kFirstChunkSlots << chunk) - kFirstChunkSlots; }

  const size_t row_bytes_;
  std::array<std::atomic<Chunk*>, kChunks> chunks_{};
  uint64_t touched_end_ = 0;  // the writer's: slots from it on take no memory
  std::atomic<size_t> string_bytes_{0};
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_SLOT_TABLE_H_
