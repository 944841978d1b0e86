#include "server/engine/records.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "index/base/check.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/record_values.h"

namespace tessera {
namespace {

constexpr uint8_t kSyncDurability = 1;
constexpr uint8_t kAsyncDurability = 2;

void WriteSpec(const CollectionSpec& spec, ValueWriter& writer) {
  TESSERA_CHECK(spec.name.size() <= limits::kCollectionNameBytesMax);
  writer.Write(static_cast<uint16_t>(spec.name.size()));
  writer.WriteBytes(spec.name);
  writer.Write(spec.dimension);
  writer.Write(static_cast<uint8_t>(spec.metric));
  writer.Write(static_cast<uint8_t>(spec.element_type));
  writer.Write(spec.index.nlist);
  writer.Write(spec.index.subquantizers);
  writer.Write(spec.index.nbits);
  writer.Write(static_cast<uint8_t>(spec.index.vectors));
  writer.Write(spec.index.seed);
  writer.Write(spec.index.iterations);
  writer.Write(spec.index.training_vectors_per_list);
  writer.Write(spec.index.default_nprobe);
  writer.Write(spec.index.default_rerank);
}

// Of the record of a collection with scalar codes, so that servers that know none refuse it.
constexpr uint8_t kScalarCatalogVersion = 2;

uint8_t CatalogVersion(const CollectionSpec& spec) {
  return spec.index.vectors == VectorPlacement::kDiskSq8 ? kScalarCatalogVersion : kRecordVersion;
}

bool ReadSpec(ByteReader& body, CollectionSpec* spec) {
  uint16_t name_bytes = 0;
  std::string_view name;
  uint8_t metric = 0;
  uint8_t element_type = 0;
  uint8_t vectors = 0;
  IndexConfig& index = spec->index;
  if (!(body.ReadU16(&name_bytes) && name_bytes <= limits::kCollectionNameBytesMax &&
        body.ReadBytes(name_bytes, &name) && body.ReadU32(&spec->dimension) &&
        body.ReadU8(&metric) && body.ReadU8(&element_type) && body.ReadU32(&index.nlist) &&
        body.ReadU32(&index.subquantizers) && body.ReadU32(&index.nbits) && body.ReadU8(&vectors) &&
        body.ReadU64(&index.seed) && body.ReadU32(&index.iterations) &&
        body.ReadU32(&index.training_vectors_per_list) && body.ReadU32(&index.default_nprobe) &&
        body.ReadU32(&index.default_rerank))) {
    return false;
  }
  spec->name = std::string(name);
  spec->metric = static_cast<Metric>(metric);
  spec->element_type = static_cast<ElementType>(element_type);
  index.vectors = static_cast<VectorPlacement>(vectors);
  return spec->dimension >= 1 && spec->dimension <= limits::kDimensionMax && metric >= 1 &&
         metric <= 3 && element_type >= 1 && element_type <= 4 && vectors >= 1 && vectors <= 3;
}

}  // namespace

void EncodeFormat(std::string_view key, uint32_t format, std::string* value) {
  EncodeU32(RecordKind::kFormat, key, format, value);
}

absl::Status DecodeFormat(std::string_view key, std::string_view value, uint32_t* format) {
  return DecodeU32(RecordKind::kFormat, key, value, format);
}

absl::Status CheckStoreFormat(uint32_t format) {
  if (format >= kStoreFormatMin && format <= kStoreFormat) return absl::OkStatus();
  const bool newer = format > kStoreFormat;
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, newer ? "STORE_FORMAT_TOO_NEW" : "STORE_FORMAT",
      absl::StrCat("the store has format ", format, "; this version reads formats ",
                   kStoreFormatMin, " to ", kStoreFormat,
                   newer ? ": a later version has written it, and can read it" : ""));
}

void EncodeNextCollectionId(std::string_view key, uint32_t next_id, std::string* value) {
  EncodeU32(RecordKind::kNextCollectionId, key, next_id, value);
}

absl::Status DecodeNextCollectionId(std::string_view key, std::string_view value,
                                    uint32_t* next_id) {
  return DecodeU32(RecordKind::kNextCollectionId, key, value, next_id);
}

void EncodeCatalog(std::string_view key, const CatalogRecord& record, std::string* value) {
  ValueWriter writer(RecordKind::kCatalog, key, value, CatalogVersion(record.spec));
  writer.Write(record.id);
  WriteSpec(record.spec, writer);
  writer.Write(record.create_time_ms);
  writer.Write(record.codebook_version);
  writer.Finish();
}

absl::Status DecodeCatalog(std::string_view key, std::string_view value, CatalogRecord* record) {
  ValueReader reader(RecordKind::kCatalog, key, value, kScalarCatalogVersion);
  RETURN_IF_ERROR(reader.status());
  ByteReader& body = reader.body();
  return reader.Finish(body.ReadU32(&record->id) && ReadSpec(body, &record->spec) &&
                       body.ReadI64(&record->create_time_ms) &&
                       body.ReadU32(&record->codebook_version) &&
                       reader.version() == CatalogVersion(record->spec));
}

void EncodeCounter(std::string_view key, const CounterRecord& record, std::string* value) {
  ValueWriter writer(RecordKind::kCounter, key, value);
  writer.Write(record.sequence);
  writer.Write(record.next_slot);
  writer.Finish();
}

absl::Status DecodeCounter(std::string_view key, std::string_view value, CounterRecord* record) {
  ValueReader reader(RecordKind::kCounter, key, value);
  RETURN_IF_ERROR(reader.status());
  return reader.Finish(reader.body().ReadU64(&record->sequence) &&
                       reader.body().ReadU64(&record->next_slot) &&
                       record->next_slot <= limits::kPointsPerCollectionMax);
}

void EncodeLastCodebook(std::string_view key, uint32_t version, std::string* value) {
  EncodeU32(RecordKind::kLastCodebook, key, version, value);
}

absl::Status DecodeLastCodebook(std::string_view key, std::string_view value, uint32_t* version) {
  return DecodeU32(RecordKind::kLastCodebook, key, value, version);
}

void EncodeCalibration(std::string_view key, const CalibrationRecord& record, std::string* value) {
  ValueWriter writer(RecordKind::kCalibration, key, value);
  writer.Write(record.create_time_ms);
  writer.Write(static_cast<uint8_t>(record.stored_queries));
  writer.Write(static_cast<uint32_t>(record.held_back.size()));
  for (const Slot slot : record.held_back) writer.Write(slot);
  writer.WriteBytes(record.surface);
  writer.Finish();
}

absl::Status DecodeCalibration(std::string_view key, std::string_view value,
                               CalibrationRecord* record) {
  ValueReader reader(RecordKind::kCalibration, key, value);
  RETURN_IF_ERROR(reader.status());
  ByteReader& body = reader.body();
  uint8_t stored = 0;
  uint32_t held_back = 0;
  const bool ok = body.ReadI64(&record->create_time_ms) && body.ReadU8(&stored) && stored <= 1 &&
                  body.ReadU32(&held_back) && held_back <= limits::kCalibrationQueriesMax &&
                  body.ReadArray(held_back, &record->held_back);
  record->stored_queries = stored == 1;
  if (ok) record->surface = std::string(reader.Rest());
  return reader.Finish(ok);
}

void EncodeAlias(std::string_view key, std::string_view collection, std::string* value) {
  ValueWriter writer(RecordKind::kAlias, key, value);
  writer.WriteBytes(collection);
  writer.Finish();
}

absl::Status DecodeAlias(std::string_view key, std::string_view value,
                         std::string_view* collection) {
  ValueReader reader(RecordKind::kAlias, key, value);
  RETURN_IF_ERROR(reader.status());
  *collection = reader.Rest();
  return reader.Finish(!collection->empty());
}

void EncodePayloadIndex(std::string_view key, PayloadIndexType type, std::string* value) {
  ValueWriter writer(RecordKind::kPayloadIndex, key, value);
  writer.Write(static_cast<uint8_t>(type));
  writer.Finish();
}

absl::Status DecodePayloadIndex(std::string_view key, std::string_view value,
                                PayloadIndexType* type) {
  ValueReader reader(RecordKind::kPayloadIndex, key, value);
  RETURN_IF_ERROR(reader.status());
  uint8_t number = 0;
  const bool ok = reader.body().ReadU8(&number) && number >= 1 && number <= 5;
  *type = static_cast<PayloadIndexType>(number);
  return reader.Finish(ok);
}

void EncodeIndexContents(std::string_view key, const IndexContentsRecord& record,
                         std::string* value) {
  ValueWriter writer(RecordKind::kIndexContents, key, value);
  writer.Write(record.number);
  writer.Write(record.sequence);
  writer.Write(record.slot_end);
  for (const IndexContentsRecord::Field& field : record.fields) {
    TESSERA_CHECK(!field.key.empty() && field.key.size() <= limits::kFieldPathBytesMax);
    writer.Write(static_cast<uint8_t>(field.type));
    writer.Write(field.parts);
    writer.Write(static_cast<uint16_t>(field.key.size()));
    writer.WriteBytes(field.key);
  }
  writer.Finish();
}

absl::Status DecodeIndexContents(std::string_view key, std::string_view value,
                                 IndexContentsRecord* record) {
  ValueReader reader(RecordKind::kIndexContents, key, value);
  RETURN_IF_ERROR(reader.status());
  ByteReader& body = reader.body();
  record->fields.clear();
  bool ok = body.ReadU32(&record->number) && body.ReadU64(&record->sequence) &&
            body.ReadU64(&record->slot_end) && record->slot_end <= limits::kPointsPerCollectionMax;
  while (ok && !body.AtEnd()) {
    IndexContentsRecord::Field field;
    uint8_t type = 0;
    uint16_t key_bytes = 0;
    std::string_view text;
    ok = record->fields.size() < limits::kPayloadIndexesMax && body.ReadU8(&type) && type >= 1 &&
         type <= 5 && body.ReadU32(&field.parts) && body.ReadU16(&key_bytes) && key_bytes >= 1 &&
         key_bytes <= limits::kFieldPathBytesMax && body.ReadBytes(key_bytes, &text);
    field.type = static_cast<PayloadIndexType>(type);
    field.key = std::string(text);
    record->fields.push_back(std::move(field));
  }
  return reader.Finish(ok);
}

void EncodeIndexPart(std::string_view key, std::string_view part, std::string* value) {
  EncodeBytes(RecordKind::kIndexPart, key, part, value);
}

absl::Status DecodeIndexPart(std::string_view key, std::string_view value, std::string_view* part) {
  return DecodeBytes(RecordKind::kIndexPart, key, value, part);
}

void EncodeIndexChanges(std::string_view key, const IndexChangesRecordView& record,
                        std::string* value) {
  ValueWriter writer(RecordKind::kIndexChanges, key, value);
  writer.Write(record.before);
  writer.WriteBytes(record.slots);
  writer.Finish();
}

absl::Status DecodeIndexChanges(std::string_view key, std::string_view value,
                                IndexChangesRecordView* record) {
  ValueReader reader(RecordKind::kIndexChanges, key, value);
  RETURN_IF_ERROR(reader.status());
  const bool ok = reader.body().ReadU64(&record->before);
  if (ok) record->slots = reader.Rest();
  return reader.Finish(ok);
}

void EncodeDeletion(std::string_view key, std::string_view slots, std::string* value) {
  EncodeBytes(RecordKind::kDeletion, key, slots, value);
}

absl::Status DecodeDeletion(std::string_view key, std::string_view value, std::string_view* slots) {
  return DecodeBytes(RecordKind::kDeletion, key, value, slots);
}

void EncodeSettings(std::string_view key, const SettingsRecordView& record, std::string* value) {
  ValueWriter writer(RecordKind::kSettings, key, value);
  writer.Write(record.durability == Durability::kAsync ? kAsyncDurability : kSyncDurability);
  writer.Write(record.revision);
  writer.WriteBytes(record.metadata);
  writer.Finish();
}

absl::Status DecodeSettings(std::string_view key, std::string_view value,
                            SettingsRecordView* record) {
  ValueReader reader(RecordKind::kSettings, key, value);
  RETURN_IF_ERROR(reader.status());
  uint8_t durability = 0;
  const bool ok = reader.body().ReadU8(&durability) && reader.body().ReadU64(&record->revision) &&
                  (durability == kSyncDurability || durability == kAsyncDurability);
  record->durability = durability == kAsyncDurability ? Durability::kAsync : Durability::kSync;
  record->metadata = reader.Rest();
  return reader.Finish(ok && record->metadata.size() <= limits::kCollectionMetadataBytesMax);
}

void EncodeRequest(std::string_view key, const RequestRecord& record, std::string* value) {
  ValueWriter writer(RecordKind::kRequest, key, value);
  writer.Write(record.fingerprint);
  writer.Write(record.result.points);
  writer.Write(record.result.sequence);
  writer.Finish();
}

absl::Status DecodeRequest(std::string_view key, std::string_view value, RequestRecord* record) {
  ValueReader reader(RecordKind::kRequest, key, value);
  RETURN_IF_ERROR(reader.status());
  ByteReader& body = reader.body();
  return reader.Finish(body.ReadU32(&record->fingerprint) && body.ReadU64(&record->result.points) &&
                       body.ReadU64(&record->result.sequence));
}

void EncodeCodebook(std::string_view key, const CodebookRecordView& record, std::string* value) {
  TESSERA_CHECK(record.content_hash.size() <= std::numeric_limits<uint8_t>::max());
  ValueWriter writer(RecordKind::kCodebook, key, value);
  writer.Write(record.create_time_ms);
  writer.Write(static_cast<uint8_t>(record.content_hash.size()));
  writer.WriteBytes(record.content_hash);
  writer.WriteBytes(record.bytes);
  writer.Finish();
}

absl::Status DecodeCodebook(std::string_view key, std::string_view value,
                            CodebookRecordView* record) {
  ValueReader reader(RecordKind::kCodebook, key, value);
  RETURN_IF_ERROR(reader.status());
  ByteReader& body = reader.body();
  uint8_t hash_bytes = 0;
  const bool ok = body.ReadI64(&record->create_time_ms) && body.ReadU8(&hash_bytes) &&
                  body.ReadBytes(hash_bytes, &record->content_hash);
  if (ok) record->bytes = reader.Rest();
  return reader.Finish(ok);
}

void EncodeCentroid(std::string_view key, std::string_view centroid, std::string* value) {
  EncodeBytes(RecordKind::kCentroid, key, centroid, value);
}

absl::Status DecodeCentroid(std::string_view key, std::string_view value,
                            std::string_view* centroid) {
  return DecodeBytes(RecordKind::kCentroid, key, value, centroid);
}

void EncodeSlot(std::string_view key, Slot slot, std::string* value) {
  EncodeU32(RecordKind::kSlot, key, slot, value);
}

absl::Status DecodeSlot(std::string_view key, std::string_view value, Slot* slot) {
  return DecodeU32(RecordKind::kSlot, key, value, slot);
}

void EncodePoint(std::string_view key, const PointRecordView& record, std::string* value) {
  ValueWriter writer(RecordKind::kPoint, key, value);
  writer.WriteId(record.id);
  writer.Write(static_cast<uint32_t>(record.vector.size()));
  writer.WriteBytes(record.vector);
  writer.WriteBytes(record.payload);
  writer.Finish();
}

absl::Status DecodePoint(std::string_view key, std::string_view value, PointRecordView* record) {
  ValueReader reader(RecordKind::kPoint, key, value);
  RETURN_IF_ERROR(reader.status());
  uint32_t vector_bytes = 0;
  const bool ok = reader.ReadId(&record->id) && reader.body().ReadU32(&vector_bytes) &&
                  reader.body().ReadBytes(vector_bytes, &record->vector);
  if (ok) record->payload = reader.Rest();
  return reader.Finish(ok);
}

void EncodeCode(std::string_view key, const CodeRecordView& record, std::string* value) {
  ValueWriter writer(RecordKind::kCode, key, value);
  writer.Write(record.bias);
  writer.Write(record.error);
  writer.WriteId(record.id);
  writer.WriteBytes(record.code);
  writer.Finish();
}

absl::Status DecodeCode(std::string_view key, std::string_view value, CodeRecordView* record) {
  ValueReader reader(RecordKind::kCode, key, value);
  RETURN_IF_ERROR(reader.status());
  const bool ok = reader.body().ReadF32(&record->bias) && reader.body().ReadF32(&record->error) &&
                  reader.ReadId(&record->id);
  if (ok) record->code = reader.Rest();
  return reader.Finish(ok);
}

}  // namespace tessera
