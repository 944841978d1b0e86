#include "server/engine/slot_allocator.h"

#include <utility>

#include "index/base/check.h"
#include "index/base/limits.h"

namespace tessera {

void SlotAllocator::Reset(uint64_t end, std::vector<Slot> free) {
  end_ = end;
  free_ = decltype(free_)(std::greater<>(), std::move(free));
  retired_.clear();
}

uint64_t SlotAllocator::room() const {
  return limits::kPointsPerCollectionMax - end_ + (reuse_ ? free_.size() : 0);
}

Slot SlotAllocator::Take() {
  if (reuse_ && !free_.empty()) {
    const Slot slot = free_.top();
    free_.pop();
    return slot;
  }
  TESSERA_CHECK(end_ < limits::kPointsPerCollectionMax);
  return static_cast<Slot>(end_++);
}

void SlotAllocator::Return(const std::vector<Slot>& slots) {
  for (Slot slot : slots) free_.push(slot);
}

void SlotAllocator::Retire(std::vector<Slot> slots, uint64_t epoch) {
  if (slots.empty()) return;
  TESSERA_CHECK(retired_.empty() || retired_.back().epoch <= epoch);
  retired_.push_back({epoch, std::move(slots)});
}

void SlotAllocator::Withdraw(const SlotSet& slots) {
  for (Retired& retired : retired_) {
    std::erase_if(retired.slots, [&](Slot slot) { return slots.Contains(slot); });
  }
}

void SlotAllocator::Reclaim(uint64_t oldest_epoch, const std::function<void(Slot)>& freed) {
  if (!reuse_) return;
  while (!retired_.empty() && retired_.front().epoch <= oldest_epoch) {
    for (Slot slot : retired_.front().slots) {
      freed(slot);
      free_.push(slot);
    }
    retired_.pop_front();
  }
}

}  // namespace tessera
