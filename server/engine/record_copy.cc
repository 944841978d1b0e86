#include "server/engine/record_copy.h"

#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/index_contents.h"
#include "server/engine/records.h"

namespace tessera {
namespace {

constexpr size_t kBatchBytes = size_t{4} << 20;
constexpr uint64_t kRecordsPerReport = 10'000;
constexpr Family kCollectionFamilies[] = {Family::kCodebooks, Family::kIds, Family::kPoints,
                                          Family::kCodes};

// A record on its way to another collection.
struct MovedRecord {
  Family family;
  std::string_view key;
  std::string_view value;
  uint32_t collection_id;  // the new one
  std::string* new_key;
  std::string* new_value;
};

// Decodes the record, and seals it again under its new key.
template <class Record, class Encoded>
absl::Status Move(const MovedRecord& moved,
                  absl::Status (*decode)(std::string_view key, std::string_view value, Record*),
                  void (*encode)(std::string_view key, Encoded, std::string* value)) {
  Record record{};
  RETURN_IF_ERROR(decode(moved.key, moved.value, &record));
  moved.new_key->clear();
  if (moved.family == Family::kMeta) {
    AppendMovedMetaKey(moved.key, moved.collection_id, moved.new_key);
  } else {
    AppendMovedKey(moved.key, moved.collection_id, moved.new_key);
  }
  encode(*moved.new_key, record, moved.new_value);
  return absl::OkStatus();
}

// The same, of a record whose key has more in it than the collection.
template <class Parts, class Record, class Encoded>
absl::Status Move(const MovedRecord& moved, absl::Status (*parse)(std::string_view key, Parts*),
                  absl::Status (*decode)(std::string_view key, std::string_view value, Record*),
                  void (*encode)(std::string_view key, Encoded, std::string* value)) {
  Parts parts{};
  RETURN_IF_ERROR(parse(moved.key, &parts));
  return Move(moved, decode, encode);
}

// Copies all keys of a kind of the family meta; `codec` is what Move takes.
template <class... Codec>
absl::Status CopyMeta(const KeyRange& range, const CopiedCollection& from,
                      const CopiedCollection& to, Codec... codec) {
  auto it = from.store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  std::string key;
  std::string value;
  while (it->Valid()) {
    auto batch = to.store.NewBatch();
    for (; it->Valid() && batch->bytes() < kBatchBytes; it->Next()) {
      RETURN_IF_ERROR(Move({Family::kMeta, it->key(), it->value(), to.id, &key, &value}, codec...));
      batch->Put(Family::kMeta, key, value);
    }
    RETURN_IF_ERROR(to.store.Commit(*batch, Durability::kAsync));
  }
  return it->status();
}

absl::Status CopyMetaRecords(const CopiedCollection& from, const CopiedCollection& to) {
  const uint32_t id = from.id;
  ASSIGN_OR_RETURN(const auto counter, from.store.Get(Family::kMeta, CounterKey(id)));
  if (!counter.has_value()) {
    return ErrorWithReason(absl::StatusCode::kDataLoss, "COLLECTION_DAMAGED",
                           "the counters of the collection are missing");
  }
  RETURN_IF_ERROR(CopyMeta(KindOfMetaKey(CounterKey(id)), from, to, DecodeCounter, EncodeCounter));
  RETURN_IF_ERROR(
      CopyMeta(KindOfMetaKey(SettingsKey(id)), from, to, DecodeSettings, EncodeSettings));
  RETURN_IF_ERROR(CopyMeta(KindOfMetaKey(LastCodebookKey(id)), from, to, DecodeLastCodebook,
                           EncodeLastCodebook));
  RETURN_IF_ERROR(CopyMeta(CalibrationRange(id), from, to, ParseCalibrationKey, DecodeCalibration,
                           EncodeCalibration));
  RETURN_IF_ERROR(CopyMeta(PayloadIndexRange(id), from, to, ParsePayloadIndexKey,
                           DecodePayloadIndex, EncodePayloadIndex));
  RETURN_IF_ERROR(
      CopyMeta(RequestRange(id), from, to, ParseRequestKey, DecodeRequest, EncodeRequest));
  RETURN_IF_ERROR(CopyMeta(KindOfMetaKey(IndexContentsKey(id)), from, to, DecodeIndexContents,
                           EncodeIndexContents));
  RETURN_IF_ERROR(
      CopyMeta(IndexPartRange(id), from, to, ParseIndexPartKey, DecodeIndexPart, EncodeIndexPart));
  RETURN_IF_ERROR(CopyMeta(IndexChangesRange(id), from, to, ParseIndexChangesKey,
                           DecodeIndexChanges, EncodeIndexChanges));
  return CopyMeta(DeletionRange(id), from, to, ParseDeletionKey, DecodeDeletion, EncodeDeletion);
}

}  // namespace

absl::Status MoveRecord(Family family, std::string_view key, std::string_view value,
                        uint32_t new_collection_id, std::string* new_key, std::string* new_value) {
  const MovedRecord moved{family, key, value, new_collection_id, new_key, new_value};
  switch (family) {
    case Family::kCodebooks:
      if (IsCentroidKey(key)) {
        return Move(moved, ParseCentroidKey, DecodeCentroid, EncodeCentroid);
      }
      return Move(moved, ParseCodebookKey, DecodeCodebook, EncodeCodebook);
    case Family::kIds:
      return Move(moved, ParseIdKey, DecodeSlot, EncodeSlot);
    case Family::kPoints:
      return Move(moved, ParsePointKey, DecodePoint, EncodePoint);
    case Family::kCodes:
      return Move(moved, ParseCodeKey, DecodeCode, EncodeCode);
    case Family::kMeta:
      break;
  }
  return absl::InternalError("records of the family meta are not moved");
}

absl::Status CopyCollection(const CopiedCollection& from, const CopiedCollection& to,
                            const std::function<bool(uint64_t records)>& progress) {
  RETURN_IF_ERROR(CopyMetaRecords(from, to));
  const KeyRange range = CollectionRange(from.id);
  std::string key;
  std::string value;
  uint64_t records = 0;
  for (const Family family : kCollectionFamilies) {
    auto it = from.store.Scan(family, range.begin, range.end, /*bulk=*/true);
    while (it->Valid()) {
      auto batch = to.store.NewBatch();
      for (; it->Valid() && batch->bytes() < kBatchBytes; it->Next(), ++records) {
        RETURN_IF_ERROR(MoveRecord(family, it->key(), it->value(), to.id, &key, &value));
        batch->Put(family, key, value);
      }
      RETURN_IF_ERROR(to.store.Commit(*batch, Durability::kAsync));
      if (!progress(records)) return absl::CancelledError("cancelled while copying");
    }
    RETURN_IF_ERROR(it->status());
  }
  return absl::OkStatus();
}

absl::Status CheckCollectionRecords(const CopiedCollection& collection,
                                    const std::function<bool(uint64_t records)>& progress) {
  const KeyRange range = CollectionRange(collection.id);
  std::string key;
  std::string value;
  uint64_t records = 0;
  for (const Family family : kCollectionFamilies) {
    auto it = collection.store.Scan(family, range.begin, range.end, /*bulk=*/true);
    for (; it->Valid(); it->Next()) {
      RETURN_IF_ERROR(MoveRecord(family, it->key(), it->value(), collection.id, &key, &value));
      if (++records % kRecordsPerReport == 0 && !progress(records)) {
        return absl::CancelledError("cancelled while reading");
      }
    }
    RETURN_IF_ERROR(it->status());
  }
  return absl::OkStatus();
}

void DeleteCollectionRecords(uint32_t id, StoreBatch& batch) {
  const KeyRange range = CollectionRange(id);
  for (const Family family : kCollectionFamilies) {
    batch.DeleteRange(family, range.begin, range.end);
  }
  batch.Delete(Family::kMeta, CatalogKey(id));
  batch.Delete(Family::kMeta, CounterKey(id));
  batch.Delete(Family::kMeta, SettingsKey(id));
  batch.Delete(Family::kMeta, LastCodebookKey(id));
  DeleteIndexContents(id, batch);
  for (const KeyRange& meta :
       {PayloadIndexRange(id), RequestRange(id), DeletionRange(id), CalibrationRange(id)}) {
    batch.DeleteRange(Family::kMeta, meta.begin, meta.end);
  }
}

absl::Status DropCollectionRecords(Store& store, uint32_t id) {
  auto batch = store.NewBatch();
  DeleteCollectionRecords(id, *batch);
  return store.Commit(*batch, Durability::kAsync);
}

}  // namespace tessera
