#include "index/ivf/block_codes.h"

#include <algorithm>
#include <utility>

namespace tessera {

BlockCodes::~BlockCodes() {
  for (auto& place : kept_) {
    Kept* kept = place.load();
    if (kept == nullptr) return;
    meter_->fetch_sub(kept_bytes(), std::memory_order_relaxed);
    delete kept;
  }
}

// Null if all places are taken by codes that somebody holds.
BlockCodes::Kept* BlockCodes::FindOrAdd(const std::shared_ptr<const SlotCodes>& codes) {
  if (Kept* kept = Find(codes.get())) return kept;
  absl::MutexLock lock(&mutex_);
  if (Kept* kept = Find(codes.get())) return kept;
  for (auto& place : kept_) {
    Kept* kept = place.load(std::memory_order_relaxed);
    if (kept == nullptr) {
      kept = new Kept(blocks_);
      meter_->fetch_add(kept_bytes(), std::memory_order_relaxed);
      kept->alive = codes;
      kept->of.store(codes.get(), std::memory_order_relaxed);
      place.store(kept, std::memory_order_release);
      return kept;
    }
    // Nobody can ask for what nobody holds.
    if (!kept->alive.expired()) continue;
    std::fill_n(kept->states.data(), blocks_, uint8_t{kMissing});
    // In this order: once the old codes are let go of, others may come to lie where they were.
    kept->of.store(codes.get(), std::memory_order_release);
    kept->alive = codes;
    return kept;
  }
  return nullptr;
}

const uint16_t* BlockCodes::Read(const std::shared_ptr<const SlotCodes>& codes,
                                 const LutScanShape& shape, const uint8_t* blocks, size_t first,
                                 size_t count, uint16_t* scratch) {
  const auto read = [&](size_t b, uint16_t* out) {
    codes->Read({LutScanSlots(shape, blocks + b * shape.block_bytes()), kLutScanBlockVectors}, out);
  };
  Kept* kept = FindOrAdd(codes);
  if (kept == nullptr) {
    for (size_t b = 0; b < count; ++b) read(b, scratch + b * kLutScanBlockVectors);
    return scratch;
  }
  uint16_t* const of_blocks = kept->codes.data() + first * kLutScanBlockVectors;
  bool all = true;
  for (size_t b = 0; b < count; ++b) {
    std::atomic_ref<uint8_t> state(kept->states[first + b]);
    if (state.load(std::memory_order_acquire) == kRead) continue;
    uint8_t missing = kMissing;
    if (!state.compare_exchange_strong(missing, kBeingRead, std::memory_order_acquire)) {
      all = all && missing == kRead;
      continue;
    }
    read(b, of_blocks + b * kLutScanBlockVectors);
    state.store(kRead, std::memory_order_release);
  }
  if (all) return of_blocks;
  // Another thread is reading some of them: not worth waiting for.
  for (size_t b = 0; b < count; ++b) read(b, scratch + b * kLutScanBlockVectors);
  return scratch;
}

BlockMemory::BlockMemory(size_t blocks, size_t block_bytes,
                         std::shared_ptr<std::atomic<size_t>> meter)
    : block_bytes_(block_bytes),
      buffer_(blocks * block_bytes),
      codes_(blocks, meter),
      meter_(std::move(meter)) {
  meter_->fetch_add(buffer_.size(), std::memory_order_relaxed);
}

BlockMemory::~BlockMemory() { meter_->fetch_sub(buffer_.size(), std::memory_order_relaxed); }

}  // namespace tessera
