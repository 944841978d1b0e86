#ifndef TESSERA_SERVER_ENGINE_RECORDS_H_
#define TESSERA_SERVER_ENGINE_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "index/base/types.h"
#include "server/engine/record_keys.h"
#include "server/engine/types.h"
#include "server/filter/field_column.h"

// The values of the store; README.md, section "Records", has the grammar. Every value starts with
// its version and ends with a CRC-32C over the kind of record, the key and the value, so that a
// value under another key or in another family is found damaged too.
//
// Encode replaces *value: a loop that reuses one string allocates nothing. Decode takes the key
// that the value was found under and returns
//   DATA_LOSS, reason RECORD_DAMAGED, naming the record, for bytes that were not written so;
//   FAILED_PRECONDITION, reason STORE_FORMAT_TOO_NEW, for an intact record of a later version.
// All functions are pure and thread-safe; views point into the value.
namespace tessera {

// The layout of the store as a whole, under FormatKey(). README.md says what each brought.
inline constexpr uint32_t kStoreFormat = 3;
inline constexpr uint32_t kStoreFormatMin =
    1;  // the oldest that is read; a start writes the newest
// FAILED_PRECONDITION, reason STORE_FORMAT_TOO_NEW or STORE_FORMAT, for any other.
absl::Status CheckStoreFormat(uint32_t format);
void EncodeFormat(std::string_view key, uint32_t format, std::string* value);
absl::Status DecodeFormat(std::string_view key, std::string_view value, uint32_t* format);

// Under NextCollectionIdKey(): ids are never given twice.
void EncodeNextCollectionId(std::string_view key, uint32_t next_id, std::string* value);
absl::Status DecodeNextCollectionId(std::string_view key, std::string_view value,
                                    uint32_t* next_id);

struct CatalogRecord {
  uint32_t id = 0;  // also in the key
  CollectionSpec spec;
  int64_t create_time_ms = 0;     // since the epoch
  uint32_t codebook_version = 0;  // the current one; 0 before the first training
};
void EncodeCatalog(std::string_view key, const CatalogRecord& record, std::string* value);
absl::Status DecodeCatalog(std::string_view key, std::string_view value, CatalogRecord* record);

struct CounterRecord {
  uint64_t sequence = 0;   // mutations applied so far
  uint64_t next_slot = 0;  // slots below it have been given
};
void EncodeCounter(std::string_view key, const CounterRecord& record, std::string* value);
absl::Status DecodeCounter(std::string_view key, std::string_view value, CounterRecord* record);

// Under LastCodebookKey(): versions are never given twice.
void EncodeLastCodebook(std::string_view key, uint32_t version, std::string* value);
absl::Status DecodeLastCodebook(std::string_view key, std::string_view value, uint32_t* version);

// What searches were measured to find; the version of the codebook is in the key.
struct CalibrationRecord {
  int64_t create_time_ms = 0;
  bool stored_queries = false;  // the queries were points of the collection
  std::vector<Slot> held_back;  // slots whose points the codebook has not been trained on
  std::string surface;          // as index/tune has it
};
void EncodeCalibration(std::string_view key, const CalibrationRecord& record, std::string* value);
absl::Status DecodeCalibration(std::string_view key, std::string_view value,
                               CalibrationRecord* record);

// Of an alias, whose name is in the key: the name of its collection.
void EncodeAlias(std::string_view key, std::string_view collection, std::string* value);
absl::Status DecodeAlias(std::string_view key, std::string_view value,
                         std::string_view* collection);

// Of a payload index; its field is in the key.
void EncodePayloadIndex(std::string_view key, PayloadIndexType type, std::string* value);
absl::Status DecodePayloadIndex(std::string_view key, std::string_view value,
                                PayloadIndexType* type);

// Of the contents of a collection's payload indexes: which parts they have.
struct IndexContentsRecord {
  struct Field {
    PayloadIndexType type = PayloadIndexType::kKeyword;
    uint32_t parts = 0;
    std::string key;

    friend bool operator==(const Field&, const Field&) = default;
  };
  uint32_t number = 0;    // in the keys of the parts; never given twice
  uint64_t sequence = 0;  // of the collection when they were so
  uint64_t slot_end = 0;  // slots in them are below it
  std::vector<Field> fields;
};
void EncodeIndexContents(std::string_view key, const IndexContentsRecord& record,
                         std::string* value);
absl::Status DecodeIndexContents(std::string_view key, std::string_view value,
                                 IndexContentsRecord* record);

// A part, as server/filter/field_contents.h has them.
void EncodeIndexPart(std::string_view key, std::string_view part, std::string* value);
absl::Status DecodeIndexPart(std::string_view key, std::string_view value, std::string_view* part);

// Of a group of writes, after which the collection has the sequence number in the key.
struct IndexChangesRecordView {
  uint64_t before = 0;     // the sequence number before it
  std::string_view slots;  // as server/filter/slot_code.h has them
};
void EncodeIndexChanges(std::string_view key, const IndexChangesRecordView& record,
                        std::string* value);
absl::Status DecodeIndexChanges(std::string_view key, std::string_view value,
                                IndexChangesRecordView* record);

// Of a large deletion: slots of it whose records are still there, as server/filter/slot_code.h has
// them.
void EncodeDeletion(std::string_view key, std::string_view slots, std::string* value);
absl::Status DecodeDeletion(std::string_view key, std::string_view value, std::string_view* slots);

// What a collection has beyond its catalog record: missing as long as it is all as by default.
struct SettingsRecordView {
  Durability durability = Durability::kSync;
  uint64_t revision = 0;
  std::string_view metadata;  // a JSON object, or ""
};
void EncodeSettings(std::string_view key, const SettingsRecordView& record, std::string* value);
absl::Status DecodeSettings(std::string_view key, std::string_view value,
                            SettingsRecordView* record);

// Of a write that was sent with a request id, which is in the key.
struct RequestRecord {
  uint32_t fingerprint = 0;  // CRC-32C of what it wrote
  WriteResult result;
};
void EncodeRequest(std::string_view key, const RequestRecord& record, std::string* value);
absl::Status DecodeRequest(std::string_view key, std::string_view value, RequestRecord* record);

struct CodebookRecordView {
  int64_t create_time_ms = 0;
  std::string_view content_hash;  // at most 255 bytes
  std::string_view bytes;         // the serialized codebook
};
void EncodeCodebook(std::string_view key, const CodebookRecordView& record, std::string* value);
absl::Status DecodeCodebook(std::string_view key, std::string_view value,
                            CodebookRecordView* record);

// Of a centroid that has moved since its codebook was stored: little-endian floats, in the form
// that Codebook::centroids() has.
void EncodeCentroid(std::string_view key, std::string_view centroid, std::string* value);
absl::Status DecodeCentroid(std::string_view key, std::string_view value,
                            std::string_view* centroid);

// The value of family kIds: where the point is.
void EncodeSlot(std::string_view key, Slot slot, std::string* value);
absl::Status DecodeSlot(std::string_view key, std::string_view value, Slot* slot);

struct PointRecordView {
  PointIdView id;
  std::string_view vector;   // of the collection's element type, little-endian
  std::string_view payload;  // a JSON object or ""
};
void EncodePoint(std::string_view key, const PointRecordView& record, std::string* value);
absl::Status DecodePoint(std::string_view key, std::string_view value, PointRecordView* record);

struct CodeRecordView {
  PointIdView id;
  std::string_view code;
  float bias = 0;   // the per-vector term of the distance that does not depend on the query
  float error = 0;  // norm of the residual's quantization error
};
void EncodeCode(std::string_view key, const CodeRecordView& record, std::string* value);
absl::Status DecodeCode(std::string_view key, std::string_view value, CodeRecordView* record);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RECORDS_H_
