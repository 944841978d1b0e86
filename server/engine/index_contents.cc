#include "server/engine/index_contents.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/filter/field_contents.h"
#include "server/filter/slot_code.h"

namespace tessera {
namespace {

// Of parts that are committed together: other commits wait for their bytes in the log.
constexpr size_t kBatchBytes = size_t{1} << 20;

// The highest number in the keys of parts: also those that nothing leads to, of an attempt that was
// interrupted, keep their number.
absl::Status FindLastNumber(Store& store, uint32_t id, uint32_t* last) {
  const KeyRange range = IndexPartRange(id);
  auto it = store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  while (it->Valid()) {
    IndexPartKeyParts parts;
    if (!ParseIndexPartKey(it->key(), &parts).ok()) {
      it->Next();
      continue;
    }
    *last = std::max(*last, parts.number);
    if (parts.number == ~uint32_t{0}) break;
    it->Seek(IndexPartKey({id, parts.number + 1, 0, 0}));
  }
  return it->status();
}

// The slots that were touched since the contents were stored: every group of writes has said so.
absl::Status ReadChanges(Store& store, uint32_t id, uint64_t sequence, StoredIndexes* stored) {
  uint64_t at = stored->record->sequence;
  const KeyRange range = IndexChangesRange(id);
  auto it = store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  const Roaring none;
  for (; it->Valid(); it->Next()) {
    uint64_t after = 0;
    IndexChangesRecordView record;
    absl::Status status = ParseIndexChangesKey(it->key(), &after);
    if (status.ok()) status = DecodeIndexChanges(it->key(), it->value(), &record);
    if (!status.ok()) {
      stored->problem = std::string(status.message());
      return absl::OkStatus();
    }
    if (after <= stored->record->sequence) continue;
    DecodedSlots slots(limits::kPointsPerCollectionMax);
    if (record.before != at || after <= at || !slots.Add(record.slots)) break;
    at = after;
    const Roaring touched = slots.TakeBitmap(none);
    stored->changes += 1 + touched.cardinality();
    stored->changed |= touched;
  }
  RETURN_IF_ERROR(it->status());
  if (at != sequence) {
    stored->problem =
        absl::StrCat("they are of sequence number ", at, " and the collection of ", sequence);
  }
  return absl::OkStatus();
}

absl::Status ReadField(Store& store, uint32_t id, uint32_t field, const PayloadIndexSpec& spec,
                       StoredIndexes* stored) {
  const IndexContentsRecord& record = *stored->record;
  const uint32_t parts = record.fields[field].parts;
  FieldContentsReader reader(spec, record.slot_end, stored->changed);
  auto it = store.Scan(Family::kMeta, IndexPartKey({id, record.number, field, 0}),
                       IndexPartKey({id, record.number, field, parts}), /*bulk=*/true);
  uint32_t read = 0;
  for (; it->Valid(); it->Next(), ++read) {
    std::string_view part;
    const absl::Status status = DecodeIndexPart(it->key(), it->value(), &part);
    if (!status.ok()) {
      stored->problem = std::string(status.message());
      return absl::OkStatus();
    }
    if (it->key() != IndexPartKey({id, record.number, field, read}) || !reader.Add(part)) break;
  }
  RETURN_IF_ERROR(it->status());
  std::shared_ptr<const FieldIndex> index = read == parts ? reader.Finish() : nullptr;
  if (index == nullptr) {
    stored->problem = absl::StrCat("those of ", spec.key.text(), " do not fit together");
    return absl::OkStatus();
  }
  stored->fields[spec.key.text()] = std::move(index);
  return absl::OkStatus();
}

absl::Status ReadAll(Store& store, uint32_t id, uint64_t sequence,
                     std::span<const PayloadIndexSpec> specs, StoredIndexes* stored) {
  const std::string key = IndexContentsKey(id);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store.Get(Family::kMeta, key));
  if (!value.has_value()) return absl::OkStatus();
  IndexContentsRecord& record = stored->record.emplace();
  if (const absl::Status status = DecodeIndexContents(key, *value, &record); !status.ok()) {
    stored->problem = std::string(status.message());
    return absl::OkStatus();
  }
  stored->last_number = std::max(stored->last_number, record.number);
  RETURN_IF_ERROR(ReadChanges(store, id, sequence, stored));
  for (uint32_t i = 0; i < record.fields.size() && stored->problem.empty(); ++i) {
    // An index that was dropped has contents until they are stored the next time.
    const std::optional<FieldPath> path = FieldPath::Stored(record.fields[i].key);
    if (!path.has_value()) continue;
    const PayloadIndexSpec spec{*path, record.fields[i].type};
    if (std::find(specs.begin(), specs.end(), spec) == specs.end()) continue;
    RETURN_IF_ERROR(ReadField(store, id, i, spec, stored));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoredIndexes> ReadStoredIndexes(Store& store, uint32_t collection_id,
                                                uint64_t sequence,
                                                std::span<const PayloadIndexSpec> specs) {
  StoredIndexes stored;
  RETURN_IF_ERROR(FindLastNumber(store, collection_id, &stored.last_number));
  RETURN_IF_ERROR(ReadAll(store, collection_id, sequence, specs, &stored));
  if (!stored.problem.empty()) {
    stored.record.reset();
    stored.fields.clear();
  }
  return stored;
}

absl::Status WriteIndexParts(Store& store, uint32_t collection_id,
                             std::span<const std::shared_ptr<const FieldIndex>> indexes,
                             const std::function<bool()>& go_on, IndexContentsRecord* record) {
  auto batch = store.NewBatch();
  const auto commit = [&]() -> absl::Status {
    if (!go_on()) return absl::CancelledError("cancelled");
    RETURN_IF_ERROR(store.Commit(*batch, Durability::kAsync));
    batch = store.NewBatch();
    return absl::OkStatus();
  };
  std::string value;
  for (const auto& index : indexes) {
    const auto field = static_cast<uint32_t>(record->fields.size());
    uint32_t parts = 0;
    RETURN_IF_ERROR(WriteFieldContents(*index, [&](std::string_view part) -> absl::Status {
      const std::string key = IndexPartKey({collection_id, record->number, field, parts++});
      EncodeIndexPart(key, part, &value);
      batch->Put(Family::kMeta, key, value);
      return batch->bytes() < kBatchBytes ? absl::OkStatus() : commit();
    }));
    record->fields.push_back({index->spec().type, parts, index->spec().key.text()});
  }
  RETURN_IF_ERROR(commit());
  // What leads to the parts may come into another log: a power cut must not leave that alone.
  return store.Sync();
}

void PutIndexContents(uint32_t collection_id, const IndexContentsRecord& record,
                      StoreBatch& batch) {
  batch.DeleteRange(Family::kMeta, IndexPartRange(collection_id).begin,
                    IndexPartKey({collection_id, record.number, 0, 0}));
  batch.DeleteRange(Family::kMeta, IndexChangesRange(collection_id).begin,
                    IndexChangesKey(collection_id, record.sequence + 1));
  const std::string key = IndexContentsKey(collection_id);
  std::string value;
  EncodeIndexContents(key, record, &value);
  batch.Put(Family::kMeta, key, value);
}

void PutIndexChanges(uint32_t collection_id, uint64_t before, uint64_t after,
                     std::vector<Slot> slots, StoreBatch& batch) {
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  std::string bytes;
  EncodeSlots(slots, &bytes);
  const std::string key = IndexChangesKey(collection_id, after);
  std::string value;
  EncodeIndexChanges(key, {before, bytes}, &value);
  batch.Put(Family::kMeta, key, value);
}

void DeleteIndexContents(uint32_t collection_id, StoreBatch& batch) {
  batch.Delete(Family::kMeta, IndexContentsKey(collection_id));
  for (const KeyRange& range : {IndexPartRange(collection_id), IndexChangesRange(collection_id)}) {
    batch.DeleteRange(Family::kMeta, range.begin, range.end);
  }
}

}  // namespace tessera
