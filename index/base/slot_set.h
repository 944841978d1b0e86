#ifndef TESSERA_INDEX_BASE_SLOT_SET_H_
#define TESSERA_INDEX_BASE_SLOT_SET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// A growing set of slots, as a bitmap in chunks. Movable, not copyable.
//
// One writer at a time: the caller serialises all calls, Snapshot() among them. A snapshot never
// changes, so its readers take no lock: it shares the chunks, and the writer copies a shared chunk
// before it changes it.
class SlotSet {
 public:
  SlotSet() = default;
  SlotSet(SlotSet&&) = default;
  SlotSet& operator=(SlotSet&&) = default;

  void Insert(Slot slot);
  void Erase(Slot slot);
  bool Contains(Slot slot) const {
    const size_t chunk = slot / kChunkSlots;
    return chunk < chunks_.size() && chunks_[chunk] != nullptr &&
           ((*chunks_[chunk])[slot % kChunkSlots / 64] >> (slot % 64) & 1) != 0;
  }
  size_t size() const { return size_; }

  // The set as it is now; cheap, and free if nothing has changed since the last one.
  std::shared_ptr<const SlotSet> Snapshot();

  size_t memory_bytes() const;

 private:
  static constexpr size_t kChunkSlots = size_t{1} << 16;
  using Chunk = std::array<uint64_t, kChunkSlots / 64>;

  Chunk& Writable(size_t chunk);

  std::vector<std::shared_ptr<Chunk>> chunks_;  // null: empty
  std::vector<bool> shared_;                    // a snapshot has chunk i too
  size_t size_ = 0;
  std::shared_ptr<const SlotSet> latest_;  // null: changed since
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_SLOT_SET_H_
