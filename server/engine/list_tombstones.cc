#include "server/engine/list_tombstones.h"

#include "index/base/limits.h"

namespace tessera {

void ListTombstones::Reset(size_t nlist) {
  slots_ = SlotSet();
  counts_.assign(nlist, 0);
  queued_.assign(nlist, false);
  waiting_.clear();
}

void ListTombstones::Add(Slot slot, uint32_t list, size_t list_size) {
  slots_.Insert(slot);
  ++counts_[list];
  if (queued_[list] || counts_[list] * 100 <= list_size * limits::kListDeadPercentMax) return;
  queued_[list] = true;
  waiting_.push_back(list);
}

std::optional<uint32_t> ListTombstones::NextList() {
  if (waiting_.empty()) return std::nullopt;
  const uint32_t list = waiting_.front();
  waiting_.pop_front();
  queued_[list] = false;
  counts_[list] = 0;
  return list;
}

void ListTombstones::Remove(std::span<const Slot> slots) {
  for (Slot slot : slots) slots_.Erase(slot);
}

void ListTombstones::Clear() { Reset(counts_.size()); }

}  // namespace tessera
