// Reading points: by id, page by page, and row by row for whoever walks all vectors.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/answer_room.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"
#include "server/filter/evaluate.h"

namespace tessera {
namespace {

// A point that is replaced between the look-up of its slot and the read of its record is looked up
// again; each time the race is lost takes another write of the same point in between.
constexpr int kLookUpAttempts = 100;
// A walk begins again where a write was made visible while it began.
constexpr int kScanAttempts = 100;
// Bounds what is in memory beside what is asked for: a record may have 64 KiB of payload.
constexpr size_t kRecordsAtOnce = 256;
// A search that finds that it must wait has been done in vain: at most one in a hundred.
constexpr int kSearchesToWait = 100;

absl::Status WrongVectorSize(const std::string& collection, const PointRecordView& record,
                             size_t bytes) {
  return ErrorWithReason(
      absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
      absl::StrCat("collection ", collection, ": the vector of point ", DescribePointId(record.id),
                   " has ", record.vector.size(), " bytes instead of ", bytes));
}

}  // namespace

absl::Status CollectionReader::FindSlots(const std::vector<PointId>& ids,
                                         std::vector<Slot>* slots) const {
  // From before the look-up: a slot left over in it then has no other point.
  const auto held = view();
  RETURN_IF_ERROR(FindStoredSlots(ids, slots));
  for (Slot& slot : *slots) {
    if (held->leftover->Contains(slot)) slot = kInvalidSlot;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Slot>> CollectionReader::SlotsInView(
    const CollectionView& view, const std::vector<PointId>& ids) const {
  std::vector<Slot> stored;
  RETURN_IF_ERROR(FindStoredSlots(ids, &stored));
  // The store is ahead of the view if a commit has begun since; read after the look-up.
  const bool ahead = newest_commit_.load() > view.sequence;
  std::vector<Slot> slots;
  absl::flat_hash_set<PointId> moved;
  for (size_t i = 0; i < ids.size(); ++i) {
    const Slot slot = stored[i];
    if (slot != kInvalidSlot && slot < view.slot_end && !view.dead->Contains(slot)) {
      slots.push_back(slot);
    } else if (ahead) {
      moved.insert(ids[i]);
    }
  }
  // What was replaced or deleted since lies elsewhere in the view.
  for (Slot slot = 0; !moved.empty() && slot < view.slot_end; ++slot) {
    if (view.dead->Contains(slot)) continue;
    const auto found = moved.find(table_.id(slot));
    if (found == moved.end()) continue;
    moved.erase(found);
    slots.push_back(slot);
  }
  return slots;
}

// Finds slots that are left over too.
absl::Status CollectionReader::FindStoredSlots(const std::vector<PointId>& ids,
                                               std::vector<Slot>* slots) const {
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (const PointId& id : ids) keys.push_back(IdKey(id_, id));
  std::vector<std::optional<std::string>> values;
  RETURN_IF_ERROR(store_.MultiGet(Family::kIds, keys, &values));
  slots->assign(ids.size(), kInvalidSlot);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (values[i].has_value()) RETURN_IF_ERROR(DecodeSlot(keys[i], *values[i], &(*slots)[i]));
  }
  return absl::OkStatus();
}

absl::Status CollectionReader::ReadPoints(std::span<const Slot> slots,
                                          const PointVisitor& found) const {
  std::vector<std::string> keys;
  std::vector<std::optional<std::string>> values;
  for (size_t begin = 0; begin < slots.size(); begin += kRecordsAtOnce) {
    const auto some = slots.subspan(begin, std::min(kRecordsAtOnce, slots.size() - begin));
    keys.clear();
    for (Slot slot : some) keys.push_back(PointKey(id_, slot));
    RETURN_IF_ERROR(store_.MultiGet(Family::kPoints, keys, &values));
    for (size_t i = 0; i < some.size(); ++i) {
      if (!values[i].has_value()) continue;
      PointRecordView record;
      RETURN_IF_ERROR(DecodePoint(keys[i], *values[i], &record));
      RETURN_IF_ERROR(found(begin + i, record));
    }
  }
  return absl::OkStatus();
}

absl::Status CollectionReader::ReadRows(std::span<const Slot> slots, std::byte* out,
                                        bool* found) const {
  CopyVectors(slots, /*may_wait=*/true, out, found);
  return ReadAbsentRows(slots, out, found);
}

absl::Status CollectionReader::ReadCachedRows(std::span<const Slot> slots, std::byte* out,
                                              bool* found) const {
  return CopyVectors(slots, /*may_wait=*/false, out, found) ? absl::OkStatus() : MustWait();
}

bool CollectionReader::CopyVectors(std::span<const Slot> slots, bool may_wait, std::byte* out,
                                   bool* found) const {
  if (vectors_in_memory()) {
    for (size_t i = 0; i < slots.size(); ++i) {
      std::copy_n(table_.row(slots[i]), vector_bytes(), out + i * vector_bytes());
      found[i] = true;
    }
    return true;
  }
  std::fill_n(found, slots.size(), false);
  if (row_file_ == nullptr) return may_wait;
  if (!may_wait) return row_file_->ReadCached(slots, out, found);
  row_file_->Read(slots, out, found);
  return true;
}

absl::Status CollectionReader::MustWait() const {
  searches_to_wait_.store(kSearchesToWait, std::memory_order_relaxed);
  return MustWaitError();
}

// From the store, what has not been found.
absl::Status CollectionReader::ReadAbsentRows(std::span<const Slot> slots, std::byte* out,
                                              bool* found) const {
  const size_t row_bytes = vector_bytes();
  std::vector<size_t> rows;
  std::vector<Slot> absent;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (found[i]) continue;
    rows.push_back(i);
    absent.push_back(slots[i]);
  }
  if (absent.empty()) return absl::OkStatus();
  return ReadSlotsOrIds(absent, [&](size_t i, const PointRecordView& record) {
    if (record.vector.size() != row_bytes) return WrongVectorSize(spec_.name, record, row_bytes);
    std::copy_n(reinterpret_cast<const std::byte*>(record.vector.data()), row_bytes,
                out + rows[i] * row_bytes);
    found[rows[i]] = true;
    return absl::OkStatus();
  });
}

absl::Status CollectionReader::WrongPoint(const PointId& id, Slot slot,
                                          const PointRecordView& record) const {
  return ErrorWithReason(
      absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
      absl::StrCat("collection ", spec_.name, ": point ", DescribePointId(ViewOf(id)),
                   " leads to slot ", slot, ", which has point ", DescribePointId(record.id)));
}

absl::Status CollectionReader::ReadByIds(const std::vector<PointId>& ids,
                                         const PointVisitor& found) const {
  // Whatever slot is looked up from here on keeps its point or loses it, and never has another.
  const auto held = view();
  std::vector<size_t> missing(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) missing[i] = i;
  for (int attempt = 0; attempt < kLookUpAttempts && !missing.empty(); ++attempt) {
    std::vector<PointId> wanted;
    for (size_t i : missing) wanted.push_back(ids[i]);
    std::vector<Slot> slots;
    RETURN_IF_ERROR(FindSlots(wanted, &slots));
    std::vector<Slot> present;
    std::vector<size_t> rows;
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] == kInvalidSlot) continue;
      present.push_back(slots[i]);
      rows.push_back(missing[i]);
    }
    std::vector<bool> read(rows.size(), false);
    RETURN_IF_ERROR(ReadPoints(present, [&](size_t i, const PointRecordView& record) {
      read[i] = true;
      if (record.id == ViewOf(ids[rows[i]])) return found(rows[i], record);
      return WrongPoint(ids[rows[i]], present[i], record);
    }));
    missing.clear();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!read[i]) missing.push_back(rows[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status CollectionReader::ReadSlotsOrIds(std::span<const Slot> slots,
                                              const PointVisitor& found) const {
  std::vector<bool> read(slots.size(), false);
  RETURN_IF_ERROR(ReadPoints(slots, [&](size_t i, const PointRecordView& record) {
    read[i] = true;
    return found(i, record);
  }));
  std::vector<PointId> ids;
  std::vector<size_t> rows;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (read[i]) continue;
    ids.push_back(table_.id(slots[i]));
    rows.push_back(i);
  }
  if (ids.empty()) return absl::OkStatus();
  return ReadByIds(ids,
                   [&](size_t i, const PointRecordView& record) { return found(rows[i], record); });
}

absl::StatusOr<std::vector<PointData>> CollectionReader::Get(const std::vector<PointId>& ids,
                                                             const PointFields& fields) const {
  return GetMatching(ids, Filter(), fields);
}

// The record that is tested is the one that is answered: it may have been replaced since the ids
// were found.
absl::StatusOr<std::vector<PointData>> CollectionReader::GetMatching(
    const std::vector<PointId>& ids, const Filter& filter, const PointFields& fields) const {
  AnswerRoom room;
  std::vector<std::optional<PointData>> found(ids.size());
  RETURN_IF_ERROR(ReadByIds(ids, [&](size_t i, const PointRecordView& record) -> absl::Status {
    if (!filter.empty() && !MatchesText(filter, record.id, record.payload)) return absl::OkStatus();
    PointData& point = found[i].emplace();
    point.id = ids[i];
    if (fields.vector) point.vector = std::string(record.vector);
    point.payload = SelectPayload(record.payload, fields.payload);
    return room.Take(point.vector.size() + point.payload.size());
  }));
  std::vector<PointData> points;
  for (auto& point : found) {
    if (point.has_value()) points.push_back(*std::move(point));
  }
  return points;
}

absl::Status CollectionReader::ForEachLiveRow(const CollectionView& view, Slot begin, Slot end,
                                              size_t rows_max, const RowVisitor& visitor) const {
  if (!vectors_in_memory()) return ForEachRowOnDisk(view, begin, end, rows_max, visitor);
  const SlotSet& dead = *view.dead;
  std::vector<Slot> slots;
  for (Slot slot = begin; slot < end;) {
    // A run of live slots that lie one after the other goes out without a copy.
    if (dead.Contains(slot)) {
      ++slot;
      continue;
    }
    const size_t run_max = std::min({rows_max, size_t{end - slot}, table_.ContiguousSlots(slot)});
    slots.clear();
    const Slot first = slot;
    while (slots.size() < run_max && !dead.Contains(slot)) slots.push_back(slot++);
    RETURN_IF_ERROR(visitor(slots, table_.row(first)));
  }
  return absl::OkStatus();
}

absl::Status CollectionReader::ForEachRowOnDisk(const CollectionView& view, Slot begin, Slot end,
                                                size_t rows_max, const RowVisitor& visitor) const {
  if (begin >= end) return absl::OkStatus();
  const size_t row_bytes = vector_bytes();
  std::vector<Slot> slots;
  std::vector<std::byte> rows(rows_max * row_bytes);
  std::vector<Slot> missed;  // replaced or deleted since the view
  uint64_t next = begin;
  const auto miss_until = [&](uint64_t slot) {
    for (; next < slot; ++next) {
      if (!view.dead->Contains(static_cast<Slot>(next))) missed.push_back(static_cast<Slot>(next));
    }
    next = slot + 1;
  };
  auto it = store_.Scan(Family::kPoints, PointKey(id_, begin), PointKey(id_, end),
                        /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    PointKeyParts key;
    RETURN_IF_ERROR(ParsePointKey(it->key(), &key));
    miss_until(key.slot);
    if (view.dead->Contains(key.slot)) continue;
    PointRecordView record;
    RETURN_IF_ERROR(DecodePoint(it->key(), it->value(), &record));
    if (record.vector.size() != row_bytes) return WrongVectorSize(spec_.name, record, row_bytes);
    std::copy_n(reinterpret_cast<const std::byte*>(record.vector.data()), row_bytes,
                rows.data() + slots.size() * row_bytes);
    slots.push_back(key.slot);
    if (slots.size() == rows_max) {
      RETURN_IF_ERROR(visitor(slots, rows.data()));
      slots.clear();
    }
  }
  RETURN_IF_ERROR(it->status());
  miss_until(end);
  if (!slots.empty()) RETURN_IF_ERROR(visitor(slots, rows.data()));
  return VisitMissed(missed, rows_max, visitor);
}

// Visits points that have moved to other slots since the caller's view, under their old slots.
absl::Status CollectionReader::VisitMissed(std::span<const Slot> missed, size_t rows_max,
                                           const RowVisitor& visitor) const {
  const auto found = std::make_unique<bool[]>(rows_max);
  std::vector<std::byte> rows(missed.empty() ? 0 : rows_max * vector_bytes());
  for (; !missed.empty(); missed = missed.subspan(std::min(rows_max, missed.size()))) {
    const auto some = missed.first(std::min(rows_max, missed.size()));
    RETURN_IF_ERROR(ReadRows(some, rows.data(), found.get()));
    std::vector<Slot> slots;
    for (size_t i = 0; i < some.size(); ++i) {
      if (!found[i]) continue;
      std::copy_n(rows.data() + i * vector_bytes(), vector_bytes(),
                  rows.data() + slots.size() * vector_bytes());
      slots.push_back(some[i]);
    }
    if (!slots.empty()) RETURN_IF_ERROR(visitor(slots, rows.data()));
  }
  return absl::OkStatus();
}

std::unique_ptr<StoreIterator> CollectionReader::ScanPoints() const {
  const KeyRange range = CollectionRange(id_);
  return store_.Scan(Family::kPoints, range.begin, range.end, /*bulk=*/true);
}

CollectionReader::PointScan CollectionReader::ScanPointsInView() const {
  for (int attempt = 1;; ++attempt) {
    const auto before = view();
    PointScan scan{ScanPoints(), view()};
    // A write in between may have left slots, or removed their records.
    if (before->version == scan.view->version || attempt == kScanAttempts) return scan;
  }
}

absl::Status CollectionReader::ForEachPayload(
    StoreIterator& records,
    const std::function<absl::Status(Slot, const PointRecordView&)>& visitor) const {
  for (; records.Valid(); records.Next()) {
    PointKeyParts key;
    PointRecordView record;
    RETURN_IF_ERROR(ParsePointKey(records.key(), &key));
    RETURN_IF_ERROR(DecodePoint(records.key(), records.value(), &record));
    RETURN_IF_ERROR(visitor(key.slot, record));
  }
  return records.status();
}

absl::Status CollectionReader::WidenVectors(VectorsView vectors, const char* field,
                                            Matrix* floats) const {
  if (vectors.rows == 0) return InvalidField(field, "is empty");
  if (vectors.dim != spec_.dimension) {
    return InvalidField(field, absl::StrCat("has dimension ", vectors.dim, "; the collection has ",
                                            spec_.dimension));
  }
  if (absl::Status status = CheckComponents(vectors); !status.ok()) {
    return InvalidField(field, std::string(status.message()));
  }
  *floats = Matrix(vectors.rows, vectors.dim);
  ToFloat(vectors.type, vectors.data, vectors.rows * vectors.dim, floats->data());
  return absl::OkStatus();
}

}  // namespace tessera
