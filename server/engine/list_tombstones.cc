#include "server/engine/list_tombstones.h"

#include <algorithm>

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
  if (counts_[list] * 100 > list_size * limits::kListDeadPercentMax) Queue(list);
}

void ListTombstones::Queue(uint32_t list) {
  if (queued_[list]) return;
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

void ListTombstones::ResetCounts(uint32_t begin, uint32_t end) {
  std::fill(counts_.begin() + begin, counts_.begin() + end, 0);
}

}  // namespace tessera
