#ifndef TESSERA_SERVER_ENGINE_RECORD_KEYS_H_
#define TESSERA_SERVER_ENGINE_RECORD_KEYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "index/base/limits.h"
#include "index/base/types.h"
#include "server/engine/types.h"

// The keys of the store; README.md, section "Records", has the grammar. Numbers are big-endian, so
// that byte order is numeric order. All functions are pure and thread-safe.
//
// The Append forms add the key to the end of a string: a loop that clears and reuses one string
// allocates nothing. The Parse forms return DATA_LOSS, naming the kind of key, for bytes that are
// no such key; their views point into the key.
namespace tessera {

// A point's name without a copy of the string.
using PointIdView = std::variant<uint64_t, std::string_view>;
PointIdView ViewOf(const PointId& id);
PointId ToPointId(const PointIdView& id);
// For messages: a number as it is, a string in quotes, control characters escaped.
std::string DescribePointId(const PointIdView& id);

// [begin, end) in one family.
struct KeyRange {
  std::string begin;
  std::string end;
};

// Family kMeta.
std::string FormatKey();
std::string NextCollectionIdKey();
std::string CatalogKey(uint32_t collection_id);
std::string CounterKey(uint32_t collection_id);
// Another name of a collection.
std::string AliasKey(std::string_view alias);
KeyRange AliasRange();
absl::Status ParseAliasKey(std::string_view key, std::string_view* alias);
// The definition of a payload index; `field` is the text of its key.
std::string PayloadIndexKey(uint32_t collection_id, std::string_view field);
KeyRange PayloadIndexRange(uint32_t collection_id);
absl::Status ParsePayloadIndexKey(std::string_view key, std::string_view* field);
// What the contents of a collection's payload indexes are, as far as they are stored; a part of
// them; and which slots a group of writes touched, by the sequence number after it.
std::string IndexContentsKey(uint32_t collection_id);
struct IndexPartKeyParts {
  uint32_t collection_id;
  uint32_t number;  // of the contents
  uint32_t field;
  uint32_t part;
};
std::string IndexPartKey(const IndexPartKeyParts& parts);
KeyRange IndexPartRange(uint32_t collection_id);
absl::Status ParseIndexPartKey(std::string_view key, IndexPartKeyParts* parts);
std::string IndexChangesKey(uint32_t collection_id, uint64_t sequence);
KeyRange IndexChangesRange(uint32_t collection_id);
absl::Status ParseIndexChangesKey(std::string_view key, uint64_t* sequence);
// What searches were measured to find with a version of the codebook.
struct CodebookKeyParts {
  uint32_t collection_id;
  uint32_t version;
};
std::string CalibrationKey(uint32_t collection_id, uint32_t version);
KeyRange CalibrationRange(uint32_t collection_id);
absl::Status ParseCalibrationKey(std::string_view key, CodebookKeyParts* parts);
// Slots whose points a large deletion has deleted, and whose records are still there; by the
// sequence number of the deletion.
struct DeletionKeyParts {
  uint32_t collection_id;
  uint64_t sequence;
  uint32_t part;
};
std::string DeletionKey(const DeletionKeyParts& parts);
KeyRange DeletionRange(uint32_t collection_id);
absl::Status ParseDeletionKey(std::string_view key, DeletionKeyParts* parts);
// What has been set of a collection beyond its catalog record.
std::string SettingsKey(uint32_t collection_id);
// The highest version that a codebook of the collection was given.
std::string LastCodebookKey(uint32_t collection_id);
// A write that was sent with a request id.
std::string RequestKey(uint32_t collection_id, std::string_view request_id);
KeyRange RequestRange(uint32_t collection_id);
absl::Status ParseRequestKey(std::string_view key, std::string_view* request_id);
KeyRange CatalogRange();  // the catalog records of all collections, by id
absl::Status ParseCatalogKey(std::string_view key, uint32_t* collection_id);
// The collection that a key of kMeta belongs to; none for those of the whole store. Such a key has
// the collection's id behind its first '/'.
std::optional<uint32_t> CollectionOfMetaKey(std::string_view key);
// All keys of the same kind as such a key, and of the same collection.
KeyRange KindOfMetaKey(std::string_view key);
// Appends the same key of another collection, of such a key and of one of the other families.
void AppendMovedMetaKey(std::string_view key, uint32_t collection_id, std::string* moved);
void AppendMovedKey(std::string_view key, uint32_t collection_id, std::string* moved);

// The keys of one collection in any family but kMeta. `collection_id` is at most kCollectionIdMax.
using limits::kCollectionIdMax;
KeyRange CollectionRange(uint32_t collection_id);
// The collection that a key of those families belongs to.
absl::Status ParseCollectionOfKey(std::string_view key, uint32_t* collection_id);

// Family kCodebooks.
std::string CodebookKey(uint32_t collection_id, uint32_t version);
absl::Status ParseCodebookKey(std::string_view key, CodebookKeyParts* parts);
// A codebook, and the centroids of it that have moved: that of each list behind it.
KeyRange CodebookRange(uint32_t collection_id, uint32_t version);
struct CentroidKeyParts {
  uint32_t collection_id;
  uint32_t version;
  uint32_t list;
};
std::string CentroidKey(uint32_t collection_id, uint32_t version, uint32_t list);
absl::Status ParseCentroidKey(std::string_view key, CentroidKeyParts* parts);
// Tells the keys of the family apart.
bool IsCentroidKey(std::string_view key);

// Family kIds. Numbers come before strings, strings in byte order: the order of PointId.
struct IdKeyParts {
  uint32_t collection_id;
  PointIdView id;
};
void AppendIdKey(uint32_t collection_id, const PointId& id, std::string* key);
void AppendIdKeyView(uint32_t collection_id, const PointIdView& id, std::string* key);
std::string IdKey(uint32_t collection_id, const PointId& id);
absl::Status ParseIdKey(std::string_view key, IdKeyParts* parts);

// Family kPoints.
struct PointKeyParts {
  uint32_t collection_id;
  Slot slot;
};
void AppendPointKey(uint32_t collection_id, Slot slot, std::string* key);
std::string PointKey(uint32_t collection_id, Slot slot);
absl::Status ParsePointKey(std::string_view key, PointKeyParts* parts);

// Family kCodes.
struct CodeKeyParts {
  uint32_t collection_id;
  uint32_t codebook_version;
  uint32_t list;
  Slot slot;
};
void AppendCodeKey(const CodeKeyParts& parts, std::string* key);
std::string CodeKey(uint32_t collection_id, uint32_t codebook_version, uint32_t list, Slot slot);
absl::Status ParseCodeKey(std::string_view key, CodeKeyParts* parts);
// All codes of one codebook.
KeyRange CodesRange(uint32_t collection_id, uint32_t codebook_version);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RECORD_KEYS_H_
