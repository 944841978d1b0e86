// Upkeep: dead entries leave the inverted lists, and what dead points held is given again.
#include "server/engine/collection.h"

namespace tessera {
namespace {

// Entries that one step copies at the most, but for the last list: a millisecond or so of work.
constexpr size_t kCompactionStepEntries = 16'384;

}  // namespace

bool Collection::Maintain() {
  bool more = false;
  const absl::Status status = queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    ReclaimSlots();
    CompactSomeLists();
    more = tombstones_.HasWork();
    return absl::OkStatus();
  });
  return status.ok() && more;
}

void Collection::ReclaimSlots() {
  slots_.Reclaim(epochs_.Oldest(), [this](Slot slot) { table_.ClearId(slot); });
}

void Collection::CompactSomeLists() {
  std::vector<Slot> removed;
  for (size_t entries = 0; entries < kCompactionStepEntries;) {
    const std::optional<uint32_t> list = tombstones_.NextList();
    if (!list.has_value()) break;
    entries += lists_->list_size(*list);
    lists_->Compact(*list, tombstones_.slots(), &removed);
  }
  if (removed.empty()) return;
  tombstones_.Remove(removed);
  if (!tombstones_.HasWork() && lists_->HasSpareMemory()) {
    lists_->CompactAll(tombstones_.slots(), &removed);
    tombstones_.Clear();
  }
  slots_.Retire(std::move(removed), epochs_.next());
  Publish();
}

}  // namespace tessera
