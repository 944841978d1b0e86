// Upkeep: dead entries leave the inverted lists, and what dead points held is given again.
#include "index/base/status_macros.h"
#include "server/engine/collection.h"

namespace tessera {
namespace {

// Deletions that are not worth a compaction, however few points there are.
constexpr uint64_t kDeadRecordsMin = 1'000;

// Entries that one step copies at the most, but for the last list: a millisecond or so of work.
constexpr size_t kCompactionStepEntries = 16'384;

}  // namespace

bool Collection::Maintain(absl::Time now) {
  bool more = false;
  LongLists long_lists;
  const absl::Status status = queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    ReclaimSlots();
    QueueListsOfHighSlots();
    CompactSomeLists();
    PackSomeLists();
    more = tombstones_.HasWork() || (lists_ != nullptr && lists_->IsPacking());
    long_lists = FindLongLists();
    if (slots_.end() < view()->slot_end) Publish();
    return absl::OkStatus();
  });
  if (!status.ok()) return false;
  const bool splits = Rebalance(long_lists, now);
  const bool sweeps = SweepDeletions(now);
  const bool fills = FillCopies();
  const bool codes = FillScalarCodes();
  return more || splits || sweeps || fills || codes;
}

bool Collection::HasSpareDisk(absl::Time quiet_since) const {
  const uint64_t dead = dead_records_.load(std::memory_order_relaxed);
  if (dropped_.load() || dead < kDeadRecordsMin) return false;
  const bool quiet = absl::FromUnixMillis(last_write_ms_.load()) < quiet_since;
  return dead > (quiet ? points() / 10 : points());
}

absl::Status Collection::CompactDisk(std::atomic<bool>* cancelled) {
  dead_records_.store(0, std::memory_order_relaxed);
  const KeyRange range = CollectionRange(id_);
  for (Family family : {Family::kIds, Family::kPoints, Family::kCodes}) {
    RETURN_IF_ERROR(store_.Compact(family, range.begin, range.end, cancelled));
  }
  return absl::OkStatus();
}

void Collection::ReleaseOldViews() {
  filter_cache_.ForgetBefore(view()->version);
  if (!has_old_views_.load(std::memory_order_relaxed)) return;
  const absl::Status status = queue_.RunExclusive([&]() -> absl::Status {
    DropReleasedViews();
    return absl::OkStatus();
  });
  status.IgnoreError();
}

// A view that is not view_ is given to nobody any more: once it is held here alone, it stays so.
void Collection::DropReleasedViews() {
  std::erase_if(old_views_, [](const auto& view) { return view.use_count() == 1; });
  has_old_views_.store(!old_views_.empty(), std::memory_order_relaxed);
  // Views that are gone may have been the last to show some of it.
  if (lists_ != nullptr) lists_bytes_.store(lists_->memory_bytes());
}

void Collection::ReclaimSlots() {
  DropReleasedViews();
  slots_.Reclaim(epochs_.Oldest(), [this](Slot slot) { table_.ClearId(slot); });
  if (!table_.Shrink(slots_.end())) return;
  if (lists_ != nullptr) lists_->ShrinkSlots(slots_.end());
  if (row_file_ != nullptr) row_file_->Shrink(slots_.end());
  if (owned_payload_copy_ != nullptr) owned_payload_copy_->file().Shrink(slots_.end());
}

// More slots than that are to be given up where nothing is in the way.
uint64_t Collection::SlotsWorthKeeping() const {
  constexpr uint64_t kSpareSlots = 64;
  return points() + points() / 8 + kSpareSlots;
}

bool Collection::HasSpareSlots() const {
  const auto now = view();
  return now->slot_end > SlotsWorthKeeping() && now->dead->Contains(now->slot_end - 1);
}

// A slot at the end that is dead, but one of few in its list, keeps all below it from being given
// up: such lists are compacted too.
void Collection::QueueListsOfHighSlots() {
  if (lists_ == nullptr) return;
  const uint64_t worth_keeping = SlotsWorthKeeping();
  for (uint64_t end = slots_.end(); end > worth_keeping; --end) {
    const auto slot = static_cast<Slot>(end - 1);
    if (!dead_.Contains(slot) || slots_.held().Contains(slot)) break;
    if (tombstones_.slots().Contains(slot)) tombstones_.Queue(table_.list(slot));
  }
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
  slots_.Retire(std::move(removed), epochs_.next());
  if (!tombstones_.HasWork()) ReturnSpareMemory();
  Publish();
}

void Collection::ReturnSpareMemory() {
  if (lists_->IsPacking() || !lists_->HasSpareMemory()) return;
  lists_->StartPacking();
  hooks_.lists_need_work();
}

void Collection::PackSomeLists() {
  if (lists_ == nullptr || !lists_->IsPacking()) return;
  std::vector<Slot> removed;
  const ListRange packed = lists_->PackSome(tombstones_.slots(), &removed);
  tombstones_.Remove(removed);
  tombstones_.ResetCounts(packed.begin, packed.end);
  slots_.Retire(std::move(removed), epochs_.next());
  Publish();
}

}  // namespace tessera
