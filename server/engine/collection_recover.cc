// Recovery: what is in the store becomes what searches need in memory. Reads codes, encodes
// nothing.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

absl::Status Damaged(const std::string& collection, const std::string& what) {
  return ErrorWithReason(absl::StatusCode::kDataLoss, "COLLECTION_DAMAGED",
                         absl::StrCat("collection ", collection, ": ", what));
}

}  // namespace

absl::Status Collection::Recover(RecoveryProgress& progress) {
  const std::string counter_key = CounterKey(id_);
  ASSIGN_OR_RETURN(std::optional<std::string> counter_value,
                   store_.Get(Family::kMeta, counter_key));
  if (!counter_value.has_value()) return Damaged(spec_.name, "its counters are missing");
  CounterRecord counter;
  RETURN_IF_ERROR(DecodeCounter(counter_key, *counter_value, &counter));
  slots_.Reset(counter.next_slot, {});
  sequence_.store(counter.sequence);
  RETURN_IF_ERROR(RecoverSettings());
  RETURN_IF_ERROR(RecoverLedger());
  RETURN_IF_ERROR(RecoverDeletions());
  RETURN_IF_ERROR(DropStaleRecords(recorded_codebook_version_));
  if (recorded_codebook_version_ != 0) {
    RETURN_IF_ERROR(RecoverCodebook(recorded_codebook_version_));
    ASSIGN_OR_RETURN(calibration_, ReadCalibration(recorded_codebook_version_));
  }

  // Points are read only where their vectors are kept or nothing else names them.
  const bool read_points = vectors_in_memory() || codebook_ == nullptr;
  std::vector<bool> points_seen(read_points ? slots_.end() : 0);
  std::vector<bool> codes_seen(codebook_ != nullptr ? slots_.end() : 0);
  EncodedSlots encoded;
  absl::Status points_status;
  absl::Status codes_status;
  absl::Status indexes_status;
  executor_.ParallelFor(3, 1, [&](size_t begin, size_t end) {
    for (size_t part = begin; part < end; ++part) {
      if (part == 0 && read_points) points_status = RecoverPoints(progress, &points_seen);
      if (part == 1 && codebook_ != nullptr) {
        codes_status = RecoverCodes(progress, &encoded, &codes_seen);
      }
      if (part == 2) indexes_status = RecoverPayloadIndexes();
    }
  });
  RETURN_IF_ERROR(points_status);
  RETURN_IF_ERROR(codes_status);
  RETURN_IF_ERROR(indexes_status);
  if (read_points && codebook_ != nullptr && points_seen != codes_seen) {
    return Damaged(spec_.name, "points and codes do not match");
  }
  const std::vector<bool>& live = read_points ? points_seen : codes_seen;
  RecoverFreeSlots(live);
  RETURN_IF_ERROR(CheckRecoveredIndexes(live));
  if (codebook_ != nullptr) {
    lists_->Append(encoded.vectors, encoded.slots.data());
    const EncodedSlots* const parts[] = {&encoded};
    UseLists(std::move(lists_), parts);
  }
  // Else the disk of a server that is often restarted would never be compacted.
  const KeyRange all = CollectionRange(id_);
  dead_records_.store(store_.ApproximateDeletions(Family::kPoints, all.begin, all.end));
  OpenRowFiles();
  if (has_scalar_codes() && !read_points && points() > 0) {
    scalar_from_ = 0;
    hooks_.lists_need_work();
  }
  Publish();
  return absl::OkStatus();
}

// Nothing refers to a slot without a point: all of them are free, but those that are left over.
void Collection::RecoverFreeSlots(const std::vector<bool>& live) {
  const auto left_over = [&](uint64_t slot) {
    return slots_.held().Contains(static_cast<Slot>(slot));
  };
  uint64_t end = live.size();
  while (end > 0 && !live[end - 1] && !left_over(end - 1)) --end;
  std::vector<Slot> free;
  std::vector<Slot> held;
  for (uint64_t slot = 0; slot < end; ++slot) {
    if (live[slot]) continue;
    (left_over(slot) ? held : free).push_back(static_cast<Slot>(slot));
    dead_.Insert(static_cast<Slot>(slot));
  }
  points_.store(end - free.size() - held.size());
  slots_.Reset(end, free);
  slots_.Retire(std::move(held), epochs_.next());
}

// Sweeps away what an interrupted installation of a codebook left: codes that no search used.
absl::Status Collection::DropStaleRecords(uint32_t version) {
  const KeyRange all = CollectionRange(id_);
  const KeyRange current = CodesRange(id_, version);
  auto batch = store_.NewBatch();
  bool stale = false;
  const auto drop = [&](Family family, const std::string& begin, const std::string& end) {
    auto it = store_.Scan(family, begin, end, /*bulk=*/false);
    if (!it->Valid()) return it->status();
    batch->DeleteRange(family, begin, end);
    stale = true;
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(drop(Family::kCodes, all.begin, current.begin));
  RETURN_IF_ERROR(drop(Family::kCodes, current.end, all.end));
  if (!stale) return absl::OkStatus();
  const absl::Status status = store_.Commit(*batch, Durability::kSync);
  if (!absl::IsResourceExhausted(status)) return status;
  // They are in nobody's way: a start must not need room on the disk.
  Log(absl::StrCat("collection ", spec_.name, ": codes of an interrupted training stay until the ",
                   "next start: ", status.ToString()));
  return absl::OkStatus();
}

absl::Status Collection::RecoverCodebook(uint32_t version) {
  auto stored = ReadCodebook(version);
  if (absl::IsNotFound(stored.status())) {
    return Damaged(spec_.name, absl::StrCat("codebook ", version, " is missing"));
  }
  RETURN_IF_ERROR(stored.status());
  codebook_ = std::move(stored->codebook);
  codebook_version_ = version;
  lists_ = std::make_unique<InvertedLists>(codebook_);
  return absl::OkStatus();
}

absl::Status Collection::RecoverPoints(RecoveryProgress& progress, std::vector<bool>* seen) {
  const KeyRange range = CollectionRange(id_);
  std::vector<std::byte> scratch;
  auto it = store_.Scan(Family::kPoints, range.begin, range.end, /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    progress.CountRecord();
    PointKeyParts key;
    PointRecordView record;
    RETURN_IF_ERROR(ParsePointKey(it->key(), &key));
    RETURN_IF_ERROR(DecodePoint(it->key(), it->value(), &record));
    if (key.slot >= slots_.end()) {
      return Damaged(spec_.name, absl::StrCat("slot ", key.slot, " was never given"));
    }
    if (record.vector.size() != vector_bytes()) {
      return Damaged(spec_.name,
                     absl::StrCat("the vector of point ", DescribePointId(record.id), " has ",
                                  record.vector.size(), " bytes instead of ", vector_bytes()));
    }
    if (slots_.held().Contains(key.slot)) continue;
    const auto* vector = reinterpret_cast<const std::byte*>(record.vector.data());
    table_.Set(key.slot, ToPointId(record.id), RowToKeep(vector, &scratch));
    (*seen)[key.slot] = true;
  }
  return it->status();
}

absl::Status Collection::RecoverCodes(RecoveryProgress& progress, EncodedSlots* encoded,
                                      std::vector<bool>* seen) {
  const KeyRange range = CodesRange(id_, codebook_version_);
  const size_t code_bytes = codebook_->code_bytes();
  auto it = store_.Scan(Family::kCodes, range.begin, range.end, /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    progress.CountRecord();
    CodeKeyParts key;
    CodeRecordView record;
    RETURN_IF_ERROR(ParseCodeKey(it->key(), &key));
    RETURN_IF_ERROR(DecodeCode(it->key(), it->value(), &record));
    if (key.slot >= slots_.end() || key.list >= codebook_->nlist() ||
        record.code.size() != code_bytes || (*seen)[key.slot]) {
      return Damaged(spec_.name, absl::StrCat("the code of point ", DescribePointId(record.id),
                                              " does not fit codebook ", codebook_version_));
    }
    if (slots_.held().Contains(key.slot)) {
      table_.SetList(key.slot, key.list);
      continue;
    }
    (*seen)[key.slot] = true;
    if (!vectors_in_memory()) table_.Set(key.slot, ToPointId(record.id), nullptr);
    encoded->slots.push_back(key.slot);
    encoded->vectors.lists.push_back(key.list);
    encoded->vectors.codes.insert(encoded->vectors.codes.end(), record.code.begin(),
                                  record.code.end());
    encoded->vectors.biases.push_back(record.bias);
    encoded->vectors.errors.push_back(record.error);
  }
  return it->status();
}

}  // namespace tessera
