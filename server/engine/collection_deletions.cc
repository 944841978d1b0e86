// Deletions of many points: one commit says which slots hold no point any more, however many they
// are, and their records are removed afterwards, step by step.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/deletions.h"
#include "server/engine/errors.h"

namespace tessera {

// Deletes the points of slots that are alive in a view which the caller holds.
absl::StatusOr<WriteResult> Collection::DeleteMany(std::vector<Slot> slots,
                                                   const WriteOptions& options) {
  const std::vector<PointId> none;
  PendingWrite write;
  write.kind = PendingWrite::Kind::kDelete;
  write.ids = &none;
  RETURN_IF_ERROR(SetWriteOptions(options, &write));
  RETURN_IF_ERROR(queue_.RunExclusive([&] { return CommitDeletion(write, std::move(slots)); }));
  RETURN_IF_ERROR(write.refusal);
  return write.result;
}

// In the queue's turn. In the store it is little: what a point costs is a byte or two.
absl::Status Collection::CommitDeletion(PendingWrite& write, std::vector<Slot> slots) {
  if (dropped_.load()) return Missing();
  PendingWrite* const group[] = {&write};
  if (TakeNewWrites(group).writes.empty()) {  // the same request has come by another way, too
    return write.durability == Durability::kSync ? store_.Sync() : absl::OkStatus();
  }
  // Replaced or deleted since the caller's view.
  std::erase_if(slots, [&](Slot slot) { return dead_.Contains(slot); });
  write.result = {.points = slots.size(), .sequence = sequence_.load() + 1};
  auto batch = store_.NewBatch();
  PutDeletion(id_, write.result.sequence, slots, deletion_step_points_, *batch);
  PlanLedger(group, *batch);
  RecordIndexChanges(write.result.sequence, {}, slots, *batch);
  const std::string counter_key = CounterKey(id_);
  std::string counter;
  EncodeCounter(counter_key, {write.result.sequence, slots_.end()}, &counter);
  batch->Put(Family::kMeta, counter_key, counter);
  newest_commit_.store(write.result.sequence);
  RETURN_IF_ERROR(store_.CheckWritable());
  BeginCommitOfCopies(write.result.sequence);
  RETURN_IF_ERROR(store_.Commit(*batch, write.durability));
  ApplyDeletion(slots);
  ApplyLedger(group);
  if (write.durability == Durability::kAsync) hooks_.wrote_async();
  return absl::OkStatus();
}

// The deletion is in the log: now it becomes visible.
void Collection::ApplyDeletion(std::span<const Slot> slots) {
  if (!indexes_->fields.empty()) {
    indexes_ = WithoutSlots(*indexes_, Roaring(slots.size(), slots.data()));
  }
  slots_.Hold(slots);
  BuryPoints(slots);
  points_.fetch_sub(slots.size());
  sequence_.fetch_add(1);
  last_write_ms_.store(absl::ToUnixMillis(absl::Now()), std::memory_order_relaxed);
  Publish();
  hooks_.lists_need_work();
}

// Does the next step, if there is one. False if nothing is left to do, or not now.
bool Collection::SweepDeletions(absl::Time now) {
  if (!HasLeftovers() || now < sweep_not_before_) return false;
  const absl::Status status = SweepDeletedPoints();
  if (status.ok()) {
    sweep_failures_ = 0;
    return HasLeftovers();
  }
  if (dropped_.load()) return false;
  // A full disk, say. What a failed step has left is what it found.
  sweep_not_before_ = now + SplitRetryDelay(++sweep_failures_);
  Log(absl::StrCat("collection ", spec_.name,
                   ": removing the records of deleted points: ", status.ToString()));
  return false;
}

absl::Status Collection::SweepDeletedPoints() {
  const KeyRange range = DeletionRange(id_);
  // Not from the beginning: there lies what the steps before have deleted.
  auto it = store_.Scan(Family::kMeta, std::max(range.begin, sweep_from_), range.end,
                        /*bulk=*/false);
  RETURN_IF_ERROR(it->status());
  if (!it->Valid()) return absl::InternalError("slots are left over, and no deletion is");
  const std::string key(it->key());
  std::vector<Slot> slots;
  RETURN_IF_ERROR(DecodeDeletedSlots(key, it->value(), limits::kPointsPerCollectionMax, &slots));
  // Nobody changes these records. What memory has of them is gone with a restart.
  std::vector<std::optional<PointId>> found(slots.size());
  RETURN_IF_ERROR(ReadPoints(slots, [&](size_t i, const PointRecordView& record) {
    found[i] = ToPointId(record.id);
    return absl::OkStatus();
  }));
  std::vector<PointId> ids;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (!found[i].has_value()) {
      return ErrorWithReason(
          absl::StatusCode::kDataLoss, "COLLECTION_DAMAGED",
          absl::StrCat("slot ", slots[i], " is in a deletion and has no point record"));
    }
    ids.push_back(*std::move(found[i]));
  }
  // So that the look-up in the queue's turn finds them in the cache.
  std::vector<Slot> stored;
  RETURN_IF_ERROR(FindStoredSlots(ids, &stored));
  // A power cut may take the end of one log and leave some of the next one. So the deletion has to
  // be on disk before a part of its points goes, and the removal before the slots have other
  // points. After a sync that fails the store takes no more writes.
  RETURN_IF_ERROR(store_.Sync());
  RETURN_IF_ERROR(queue_.RunExclusive([&] { return RemoveLeftovers(key, slots, ids); }));
  sweep_from_ = key;
  RETURN_IF_ERROR(store_.Sync());
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    slots_.Release(slots, epochs_.next());
    for (const Slot slot : slots) swept_.Erase(slot);
    Publish();
    return absl::OkStatus();
  });
}

// In the queue's turn.
absl::Status Collection::RemoveLeftovers(const std::string& deletion_key,
                                         std::span<const Slot> slots,
                                         const std::vector<PointId>& ids) {
  if (dropped_.load()) return Missing();
  std::vector<Slot> stored;
  RETURN_IF_ERROR(FindStoredSlots(ids, &stored));
  auto batch = store_.NewBatch();
  for (size_t i = 0; i < slots.size(); ++i) {
    batch->Delete(Family::kPoints, PointKey(id_, slots[i]));
    if (codebook_version_ != 0) {
      batch->Delete(Family::kCodes,
                    CodeKey(id_, codebook_version_, table_.list(slots[i]), slots[i]));
    }
    // Else the id has been inserted again.
    if (stored[i] == slots[i]) batch->Delete(Family::kIds, IdKey(id_, ids[i]));
  }
  batch->Delete(Family::kMeta, deletion_key);
  // Writers do not wait for the disk: nobody is told that it has been done, and it may be lost.
  RETURN_IF_ERROR(store_.Commit(*batch, Durability::kAsync));
  for (const Slot slot : slots) swept_.Insert(slot);
  dead_records_.fetch_add(slots.size(), std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status Collection::RecoverDeletions() {
  return ForEachDeletion(store_, id_, slots_.end(), [&](std::span<const Slot> slots) {
    slots_.Hold(slots);
    // They have a place in the table, whichever of their records is read.
    for (Slot slot : slots) table_.Set(slot, PointId(uint64_t{0}), nullptr);
  });
}

}  // namespace tessera
