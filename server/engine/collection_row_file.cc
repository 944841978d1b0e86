// The copy of vectors on disk: what is written goes there too, and a file that has been made anew
// is filled from the store in the background.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"

namespace tessera {
namespace {

// What a step of the filling reads.
constexpr size_t kFillStepBytes = size_t{4} << 20;

}  // namespace

void Collection::OpenRowFile() {
  if (vectors_in_memory() || row_files_ == nullptr) return;
  row_file_ = row_files_->Open(id_, create_time_ms_, vector_bytes(), sequence_.load());
  if (row_file_ == nullptr || row_file_->is_complete()) return;
  if (slots_.end() == 0) {
    row_file_->SetComplete();
  } else {
    hooks_.lists_need_work();
  }
}

void Collection::CopyRows(std::span<PendingWrite* const> group, uint64_t sequence,
                          std::span<const Slot> new_slots) {
  if (row_file_ == nullptr) return;
  row_file_->BeginCommit(sequence_.load(), sequence);
  for (const PendingWrite* write : group) {
    if (!write->adds_points()) continue;
    row_file_->Write(new_slots.first(write->size()), write->vectors);
    new_slots = new_slots.subspan(write->size());
  }
}

// Does the next step, if there is one. False if nothing is left to do.
bool Collection::FillRowFile() {
  if (row_file_ == nullptr || row_file_->is_complete() || !row_file_->is_usable()) {
    return false;
  }
  const absl::Status status = FillSomeRows();
  if (!status.ok()) row_file_->GiveUp(status.ToString());
  return status.ok() && !row_file_->is_complete();
}

absl::Status Collection::FillSomeRows() {
  ASSIGN_OR_RETURN(const StoredRows rows, ReadStoredRows(fill_from_));
  row_file_->Fill(rows.slots, rows.vectors.data());
  if (!rows.last) {
    fill_from_ = rows.slots.back() + 1;
  } else {
    row_file_->SetComplete();
    Log(absl::StrCat("collection ", spec_.name, ": the copy of its vectors is complete"));
  }
  return absl::OkStatus();
}

// The vectors of some slots from `begin` on, as many as a step of a filling reads.
absl::StatusOr<Collection::StoredRows> Collection::ReadStoredRows(Slot begin) const {
  const size_t row_bytes = vector_bytes();
  const size_t rows_max = std::max<size_t>(1, kFillStepBytes / row_bytes);
  StoredRows rows;
  auto it = store_.Scan(Family::kPoints, PointKey(id_, begin), CollectionRange(id_).end,
                        /*bulk=*/true);
  for (; it->Valid() && rows.slots.size() < rows_max; it->Next()) {
    PointKeyParts key;
    PointRecordView record;
    RETURN_IF_ERROR(ParsePointKey(it->key(), &key));
    RETURN_IF_ERROR(DecodePoint(it->key(), it->value(), &record));
    if (record.vector.size() != row_bytes) continue;  // who reads it is told by the store
    rows.slots.push_back(key.slot);
    const auto* vector = reinterpret_cast<const std::byte*>(record.vector.data());
    rows.vectors.insert(rows.vectors.end(), vector, vector + row_bytes);
  }
  RETURN_IF_ERROR(it->status());
  rows.last = !it->Valid();
  return rows;
}

void Collection::CloseRowFile() {
  if (row_file_ != nullptr) row_file_->Close(sequence_.load());
}

}  // namespace tessera
