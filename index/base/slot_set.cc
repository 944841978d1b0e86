#include "index/base/slot_set.h"

namespace tessera {

SlotSet::Chunk& SlotSet::Writable(size_t chunk) {
  if (chunk >= chunks_.size()) {
    chunks_.resize(chunk + 1);
    shared_.resize(chunk + 1, false);
  }
  if (chunks_[chunk] == nullptr) {
    chunks_[chunk] = std::make_shared<Chunk>();
  } else if (shared_[chunk]) {
    chunks_[chunk] = std::make_shared<Chunk>(*chunks_[chunk]);
  }
  shared_[chunk] = false;
  return *chunks_[chunk];
}

void SlotSet::Insert(Slot slot) {
  if (Contains(slot)) return;
  Writable(slot / kChunkSlots)[slot % kChunkSlots / 64] |= uint64_t{1} << (slot % 64);
  ++size_;
  latest_.reset();
}

void SlotSet::Erase(Slot slot) {
  if (!Contains(slot)) return;
  Writable(slot / kChunkSlots)[slot % kChunkSlots / 64] &= ~(uint64_t{1} << (slot % 64));
  --size_;
  latest_.reset();
}

std::shared_ptr<const SlotSet> SlotSet::Snapshot() {
  if (latest_ == nullptr) {
    auto snapshot = std::make_shared<SlotSet>();
    snapshot->chunks_ = chunks_;
    snapshot->size_ = size_;
    shared_.assign(chunks_.size(), true);
    latest_ = std::move(snapshot);
  }
  return latest_;
}

size_t SlotSet::memory_bytes() const {
  size_t bytes = chunks_.size() * sizeof(chunks_[0]);
  for (const auto& chunk : chunks_) bytes += chunk == nullptr ? 0 : sizeof(Chunk);
  return bytes;
}

}  // namespace tessera
