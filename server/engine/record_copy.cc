#include "server/engine/record_copy.h"

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
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

absl::Status MoveCodebook(std::string_view key, std::string_view value, uint32_t id,
                          std::string* new_key, std::string* new_value) {
  CodebookKeyParts parts;
  CodebookRecordView record;
  RETURN_IF_ERROR(ParseCodebookKey(key, &parts));
  RETURN_IF_ERROR(DecodeCodebook(key, value, &record));
  *new_key = CodebookKey(id, parts.version);
  EncodeCodebook(*new_key, record, new_value);
  return absl::OkStatus();
}

absl::Status MoveCentroid(std::string_view key, std::string_view value, uint32_t id,
                          std::string* new_key, std::string* new_value) {
  CentroidKeyParts parts;
  std::string_view centroid;
  RETURN_IF_ERROR(ParseCentroidKey(key, &parts));
  RETURN_IF_ERROR(DecodeCentroid(key, value, &centroid));
  *new_key = CentroidKey(id, parts.version, parts.list);
  EncodeCentroid(*new_key, centroid, new_value);
  return absl::OkStatus();
}

absl::Status MoveId(std::string_view key, std::string_view value, uint32_t id, std::string* new_key,
                    std::string* new_value) {
  IdKeyParts parts;
  Slot slot = 0;
  RETURN_IF_ERROR(ParseIdKey(key, &parts));
  RETURN_IF_ERROR(DecodeSlot(key, value, &slot));
  new_key->clear();
  AppendIdKeyView(id, parts.id, new_key);
  EncodeSlot(*new_key, slot, new_value);
  return absl::OkStatus();
}

absl::Status MovePoint(std::string_view key, std::string_view value, uint32_t id,
                       std::string* new_key, std::string* new_value) {
  PointKeyParts parts;
  PointRecordView record;
  RETURN_IF_ERROR(ParsePointKey(key, &parts));
  RETURN_IF_ERROR(DecodePoint(key, value, &record));
  new_key->clear();
  AppendPointKey(id, parts.slot, new_key);
  EncodePoint(*new_key, record, new_value);
  return absl::OkStatus();
}

absl::Status MoveCode(std::string_view key, std::string_view value, uint32_t id,
                      std::string* new_key, std::string* new_value) {
  CodeKeyParts parts;
  CodeRecordView record;
  RETURN_IF_ERROR(ParseCodeKey(key, &parts));
  RETURN_IF_ERROR(DecodeCode(key, value, &record));
  parts.collection_id = id;
  new_key->clear();
  AppendCodeKey(parts, new_key);
  EncodeCode(*new_key, record, new_value);
  return absl::OkStatus();
}

absl::Status CopyCounter(const CopiedCollection& from, const CopiedCollection& to) {
  const std::string key = CounterKey(from.id);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, from.store.Get(Family::kMeta, key));
  if (!value.has_value()) {
    return ErrorWithReason(absl::StatusCode::kDataLoss, "COLLECTION_DAMAGED",
                           "the counters of the collection are missing");
  }
  CounterRecord counter;
  RETURN_IF_ERROR(DecodeCounter(key, *value, &counter));
  const std::string new_key = CounterKey(to.id);
  std::string new_value;
  EncodeCounter(new_key, counter, &new_value);
  auto batch = to.store.NewBatch();
  batch->Put(Family::kMeta, new_key, new_value);
  return to.store.Commit(*batch, Durability::kAsync);
}

absl::Status CopySettings(const CopiedCollection& from, const CopiedCollection& to) {
  const std::string key = SettingsKey(from.id);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, from.store.Get(Family::kMeta, key));
  if (!value.has_value()) return absl::OkStatus();
  SettingsRecordView record;
  RETURN_IF_ERROR(DecodeSettings(key, *value, &record));
  const std::string new_key = SettingsKey(to.id);
  std::string new_value;
  EncodeSettings(new_key, record, &new_value);
  auto batch = to.store.NewBatch();
  batch->Put(Family::kMeta, new_key, new_value);
  return to.store.Commit(*batch, Durability::kAsync);
}

absl::Status CopyLastCodebook(const CopiedCollection& from, const CopiedCollection& to) {
  const std::string key = LastCodebookKey(from.id);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, from.store.Get(Family::kMeta, key));
  if (!value.has_value()) return absl::OkStatus();
  uint32_t version = 0;
  RETURN_IF_ERROR(DecodeLastCodebook(key, *value, &version));
  const std::string new_key = LastCodebookKey(to.id);
  std::string new_value;
  EncodeLastCodebook(new_key, version, &new_value);
  auto batch = to.store.NewBatch();
  batch->Put(Family::kMeta, new_key, new_value);
  return to.store.Commit(*batch, Durability::kAsync);
}

absl::Status MovePayloadIndex(std::string_view key, std::string_view value, uint32_t id,
                              std::string* new_key, std::string* new_value) {
  std::string_view field;
  PayloadIndexType type{};
  RETURN_IF_ERROR(ParsePayloadIndexKey(key, &field));
  RETURN_IF_ERROR(DecodePayloadIndex(key, value, &type));
  *new_key = PayloadIndexKey(id, field);
  EncodePayloadIndex(*new_key, type, new_value);
  return absl::OkStatus();
}

absl::Status MoveIndexContents(std::string_view key, std::string_view value, uint32_t id,
                               std::string* new_key, std::string* new_value) {
  IndexContentsRecord record;
  RETURN_IF_ERROR(DecodeIndexContents(key, value, &record));
  *new_key = IndexContentsKey(id);
  EncodeIndexContents(*new_key, record, new_value);
  return absl::OkStatus();
}

absl::Status MoveIndexPart(std::string_view key, std::string_view value, uint32_t id,
                           std::string* new_key, std::string* new_value) {
  IndexPartKeyParts parts;
  std::string_view part;
  RETURN_IF_ERROR(ParseIndexPartKey(key, &parts));
  RETURN_IF_ERROR(DecodeIndexPart(key, value, &part));
  parts.collection_id = id;
  *new_key = IndexPartKey(parts);
  EncodeIndexPart(*new_key, part, new_value);
  return absl::OkStatus();
}

absl::Status MoveIndexChanges(std::string_view key, std::string_view value, uint32_t id,
                              std::string* new_key, std::string* new_value) {
  uint64_t sequence = 0;
  IndexChangesRecordView record;
  RETURN_IF_ERROR(ParseIndexChangesKey(key, &sequence));
  RETURN_IF_ERROR(DecodeIndexChanges(key, value, &record));
  *new_key = IndexChangesKey(id, sequence);
  EncodeIndexChanges(*new_key, record, new_value);
  return absl::OkStatus();
}

absl::Status MoveDeletion(std::string_view key, std::string_view value, uint32_t id,
                          std::string* new_key, std::string* new_value) {
  DeletionKeyParts parts;
  std::string_view slots;
  RETURN_IF_ERROR(ParseDeletionKey(key, &parts));
  RETURN_IF_ERROR(DecodeDeletion(key, value, &slots));
  parts.collection_id = id;
  *new_key = DeletionKey(parts);
  EncodeDeletion(*new_key, slots, new_value);
  return absl::OkStatus();
}

absl::Status MoveRequest(std::string_view key, std::string_view value, uint32_t id,
                         std::string* new_key, std::string* new_value) {
  std::string_view request_id;
  RequestRecord record;
  RETURN_IF_ERROR(ParseRequestKey(key, &request_id));
  RETURN_IF_ERROR(DecodeRequest(key, value, &record));
  *new_key = RequestKey(id, request_id);
  EncodeRequest(*new_key, record, new_value);
  return absl::OkStatus();
}

using Move = absl::Status (*)(std::string_view key, std::string_view value, uint32_t id,
                              std::string* new_key, std::string* new_value);

// A range of the family meta.
absl::Status CopyMeta(const KeyRange& range, Move move, const CopiedCollection& from,
                      const CopiedCollection& to) {
  auto it = from.store.Scan(Family::kMeta, range.begin, range.end, nullptr, /*bulk=*/false);
  std::string key;
  std::string value;
  while (it->Valid()) {
    auto batch = to.store.NewBatch();
    for (; it->Valid() && batch->bytes() < kBatchBytes; it->Next()) {
      RETURN_IF_ERROR(move(it->key(), it->value(), to.id, &key, &value));
      batch->Put(Family::kMeta, key, value);
    }
    RETURN_IF_ERROR(to.store.Commit(*batch, Durability::kAsync));
  }
  return it->status();
}

}  // namespace

absl::Status MoveRecord(Family family, std::string_view key, std::string_view value,
                        uint32_t new_collection_id, std::string* new_key, std::string* new_value) {
  switch (family) {
    case Family::kCodebooks:
      if (IsCentroidKey(key))
        return MoveCentroid(key, value, new_collection_id, new_key, new_value);
      return MoveCodebook(key, value, new_collection_id, new_key, new_value);
    case Family::kIds:
      return MoveId(key, value, new_collection_id, new_key, new_value);
    case Family::kPoints:
      return MovePoint(key, value, new_collection_id, new_key, new_value);
    case Family::kCodes:
      return MoveCode(key, value, new_collection_id, new_key, new_value);
    case Family::kMeta:
      break;
  }
  return absl::InternalError("records of the family meta are not moved");
}

absl::Status CopyCollection(const CopiedCollection& from, const CopiedCollection& to,
                            const std::function<bool(uint64_t records)>& progress) {
  RETURN_IF_ERROR(CopyCounter(from, to));
  RETURN_IF_ERROR(CopySettings(from, to));
  RETURN_IF_ERROR(CopyLastCodebook(from, to));
  RETURN_IF_ERROR(CopyMeta(PayloadIndexRange(from.id), MovePayloadIndex, from, to));
  RETURN_IF_ERROR(CopyMeta(RequestRange(from.id), MoveRequest, from, to));
  const KeyRange contents = KindOfMetaKey(IndexContentsKey(from.id));
  RETURN_IF_ERROR(CopyMeta(contents, MoveIndexContents, from, to));
  RETURN_IF_ERROR(CopyMeta(IndexPartRange(from.id), MoveIndexPart, from, to));
  RETURN_IF_ERROR(CopyMeta(IndexChangesRange(from.id), MoveIndexChanges, from, to));
  RETURN_IF_ERROR(CopyMeta(DeletionRange(from.id), MoveDeletion, from, to));
  const KeyRange range = CollectionRange(from.id);
  std::string key;
  std::string value;
  uint64_t records = 0;
  for (const Family family : kCollectionFamilies) {
    auto it = from.store.Scan(family, range.begin, range.end, nullptr, /*bulk=*/true);
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
    auto it = collection.store.Scan(family, range.begin, range.end, nullptr, /*bulk=*/true);
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
  for (const KeyRange& meta : {PayloadIndexRange(id), RequestRange(id), DeletionRange(id)}) {
    batch.DeleteRange(Family::kMeta, meta.begin, meta.end);
  }
}

absl::Status DropCollectionRecords(Store& store, uint32_t id) {
  auto batch = store.NewBatch();
  DeleteCollectionRecords(id, *batch);
  return store.Commit(*batch, Durability::kAsync);
}

}  // namespace tessera
