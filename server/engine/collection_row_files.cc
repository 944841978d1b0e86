// The copies of vectors on disk and of payloads: what is written goes there too, and a file that
// has been made anew is filled from the store in the background.
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/draw_evenly.h"

namespace tessera {
namespace {

// What a step of the filling reads.
constexpr size_t kFillStepBytes = size_t{4} << 20;
// Of a record, about, without its vector and payload.
constexpr size_t kRecordHeadBytes = 64;
// Points whose payloads say how long they are.
constexpr size_t kSampledPayloads = 1'000;

}  // namespace

void Collection::OpenRowFiles() {
  if (row_files_ == nullptr) return;
  // There is one if searches have asked for payloads before.
  const std::optional<size_t> row_bytes = row_files_->RowBytesOf(RowKind::kPayload, id_);
  if (row_bytes.has_value() && PayloadCopy::IsRowBytes(*row_bytes)) OpenPayloadCopy(*row_bytes);
  if (vectors_in_memory()) return;
  row_file_ =
      row_files_->Open(RowKind::kVector, id_, create_time_ms_, vector_bytes(), sequence_.load());
  if (row_file_ != nullptr) AwaitFilling(*row_file_);
}

bool Collection::IsPayloadCopyDue() const {
  return row_files_ != nullptr && owned_payload_copy_ == nullptr && !payload_copy_refused_ &&
         IsPayloadCopyWanted();
}

absl::Status Collection::MakePayloadCopy() {
  payload_copy_refused_ = true;
  const auto now = view();
  std::vector<size_t> lengths;
  RETURN_IF_ERROR(ReadPoints(DrawEvenly(now->LiveSlots(now->slot_end), kSampledPayloads),
                             [&](size_t, const PointRecordView& record) {
                               lengths.push_back(record.payload.size());
                               return absl::OkStatus();
                             }));
  const std::optional<size_t> row_bytes = PayloadCopy::RowBytesFor(std::move(lengths));
  if (!row_bytes.has_value()) return absl::OkStatus();
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    OpenPayloadCopy(*row_bytes);
    return absl::OkStatus();
  });
}

void Collection::OpenPayloadCopy(size_t row_bytes) {
  auto file =
      row_files_->Open(RowKind::kPayload, id_, create_time_ms_, row_bytes, sequence_.load());
  if (file == nullptr) return;
  owned_payload_copy_ = std::make_unique<PayloadCopy>(std::move(file), row_bytes);
  payload_copy_.store(owned_payload_copy_.get());
  AwaitFilling(owned_payload_copy_->file());
}

void Collection::AwaitFilling(RowFile& file) const {
  if (file.is_complete()) return;
  if (slots_.end() == 0) {
    file.SetComplete();
  } else {
    hooks_.lists_need_work();
  }
}

void Collection::BeginCommitOfCopies(uint64_t sequence) {
  if (row_file_ != nullptr) row_file_->BeginCommit(sequence_.load(), sequence);
  if (owned_payload_copy_ != nullptr) {
    owned_payload_copy_->file().BeginCommit(sequence_.load(), sequence);
  }
}

void Collection::CopyRows(std::span<PendingWrite* const> group, std::span<const Slot> new_slots) {
  for (const PendingWrite* write : group) {
    if (!write->adds_points()) continue;
    const auto slots = new_slots.first(write->size());
    if (row_file_ != nullptr) row_file_->Write(slots, write->vectors);
    if (owned_payload_copy_ != nullptr) owned_payload_copy_->Write(slots, *write->payloads);
    new_slots = new_slots.subspan(write->size());
  }
}

// Does the next step for each copy, if there is one. False if nothing is left to do.
bool Collection::FillCopies() {
  if (IsPayloadCopyDue()) {
    if (absl::Status status = MakePayloadCopy(); !status.ok()) Log(status.ToString());
  }
  bool more = false;
  if (row_file_ != nullptr) more |= FillCopy(RowKind::kVector, *row_file_, &fill_from_);
  if (owned_payload_copy_ != nullptr) {
    more |= FillCopy(RowKind::kPayload, owned_payload_copy_->file(), &fill_payloads_from_);
  }
  return more;
}

bool Collection::FillCopy(RowKind kind, RowFile& file, Slot* from) {
  if (file.is_complete() || !file.is_usable()) return false;
  const absl::Status status = FillSomeRows(kind, file, from);
  if (!status.ok()) file.GiveUp(status.ToString());
  return status.ok() && !file.is_complete();
}

absl::Status Collection::FillSomeRows(RowKind kind, RowFile& file, Slot* from) {
  ASSIGN_OR_RETURN(const StoredRows rows, ReadStoredRows(kind, *from));
  if (kind == RowKind::kVector) {
    file.Fill(rows.slots, rows.vectors.data());
  } else {
    owned_payload_copy_->Fill(rows.slots, rows.payloads);
  }
  if (!rows.last) {
    *from = rows.slots.back() + 1;
    return absl::OkStatus();
  }
  file.SetComplete();
  Log(absl::StrCat("collection ", spec_.name, ": the copy of its ",
                   kind == RowKind::kVector ? "vectors" : "payloads", " is complete"));
  return absl::OkStatus();
}

// The vectors or the payloads of some slots from `begin` on, as many as a step of a filling reads.
absl::StatusOr<Collection::StoredRows> Collection::ReadStoredRows(RowKind kind, Slot begin) const {
  StoredRows rows;
  auto it = store_.Scan(Family::kPoints, PointKey(id_, begin), CollectionRange(id_).end,
                        /*bulk=*/true);
  for (size_t bytes = 0; it->Valid() && bytes < kFillStepBytes; it->Next()) {
    PointKeyParts key;
    PointRecordView record;
    RETURN_IF_ERROR(ParsePointKey(it->key(), &key));
    RETURN_IF_ERROR(DecodePoint(it->key(), it->value(), &record));
    if (record.vector.size() != vector_bytes()) continue;  // who reads it is told by the store
    bytes += kRecordHeadBytes + it->value().size();
    rows.slots.push_back(key.slot);
    if (kind == RowKind::kPayload) {
      rows.payloads.emplace_back(record.payload);
    } else {
      const auto* vector = reinterpret_cast<const std::byte*>(record.vector.data());
      rows.vectors.insert(rows.vectors.end(), vector, vector + record.vector.size());
    }
  }
  RETURN_IF_ERROR(it->status());
  rows.last = !it->Valid();
  return rows;
}

void Collection::CloseRowFiles() {
  if (row_file_ != nullptr) row_file_->Close(sequence_.load());
  if (owned_payload_copy_ != nullptr) owned_payload_copy_->file().Close(sequence_.load());
}

}  // namespace tessera
