#include "server/engine/slot_allocator.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "index/base/check.h"
#include "index/base/limits.h"

namespace tessera {

void SlotAllocator::Reset(uint64_t end, const std::vector<Slot>& free) {
  end_ = end;
  free_.assign((end + 63) / 64, 0);
  free_count_ = 0;
  first_word_ = free_.size();
  retired_.clear();
  for (Slot slot : free) Free(slot);
}

uint64_t SlotAllocator::room() const {
  return limits::kPointsPerCollectionMax - end_ + (reuse_ ? free_count_ : 0);
}

void SlotAllocator::Free(Slot slot) {
  const size_t word = slot / 64;
  TESSERA_CHECK(slot < end_ && !IsFree(slot));
  free_[word] |= uint64_t{1} << (slot % 64);
  ++free_count_;
  first_word_ = std::min(first_word_, word);
}

void SlotAllocator::LowerEnd() {
  while (end_ > 0 && IsFree(end_ - 1)) {
    --end_;
    --free_count_;
    free_[end_ / 64] &= ~(uint64_t{1} << (end_ % 64));
  }
  free_.resize((end_ + 63) / 64);
}

Slot SlotAllocator::Take() {
  if (reuse_ && free_count_ > 0) {
    // The lowest first: what is in use gathers below, and the end falls.
    while (free_[first_word_] == 0) ++first_word_;
    uint64_t& word = free_[first_word_];
    const auto slot = static_cast<Slot>(first_word_ * 64 + std::countr_zero(word));
    word &= word - 1;
    --free_count_;
    return slot;
  }
  TESSERA_CHECK(end_ < limits::kPointsPerCollectionMax);
  if (end_ / 64 == free_.size()) free_.push_back(0);
  return static_cast<Slot>(end_++);
}

void SlotAllocator::Return(const std::vector<Slot>& slots) {
  for (Slot slot : slots) Free(slot);
}

void SlotAllocator::Retire(std::vector<Slot> slots, uint64_t epoch) {
  if (slots.empty()) return;
  TESSERA_CHECK(retired_.empty() || retired_.back().epoch <= epoch);
  retired_.push_back({epoch, std::move(slots)});
}

void SlotAllocator::Hold(std::span<const Slot> slots) {
  for (Slot slot : slots) {
    held_.Insert(slot);
    kept_.Insert(slot);
  }
}

void SlotAllocator::Release(std::span<const Slot> slots, uint64_t epoch) {
  if (slots.empty()) return;
  TESSERA_CHECK(released_.empty() || released_.back().epoch <= epoch);
  for (Slot slot : slots) held_.Erase(slot);
  released_.push_back({epoch, {slots.begin(), slots.end()}});
}

void SlotAllocator::Withdraw(const SlotSet& slots) {
  for (Retired& retired : retired_) {
    std::erase_if(retired.slots, [&](Slot slot) { return slots.Contains(slot); });
  }
}

void SlotAllocator::Reclaim(uint64_t oldest_epoch, const std::function<void(Slot)>& freed) {
  if (!reuse_) return;
  for (; !released_.empty() && released_.front().epoch <= oldest_epoch; released_.pop_front()) {
    for (Slot slot : released_.front().slots) {
      kept_.Erase(slot);
      if (!ripe_.Contains(slot)) continue;
      ripe_.Erase(slot);
      freed(slot);
      Free(slot);
    }
  }
  for (; !retired_.empty() && retired_.front().epoch <= oldest_epoch; retired_.pop_front()) {
    for (Slot slot : retired_.front().slots) {
      if (kept_.Contains(slot)) {
        ripe_.Insert(slot);
        continue;
      }
      freed(slot);
      Free(slot);
    }
  }
  LowerEnd();
}

}  // namespace tessera
