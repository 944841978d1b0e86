#include "server/engine/record_keys.h"

#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/check.h"
#include "index/base/limits.h"
#include "server/engine/big_endian.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr std::string_view kCatalogPrefix = "catalog/";
constexpr std::string_view kCounterPrefix = "counter/";
constexpr std::string_view kAliasPrefix = "alias/";
constexpr std::string_view kPayloadIndexPrefix = "payload_index/";
constexpr std::string_view kRequestPrefix = "request/";
constexpr std::string_view kSettingsPrefix = "settings/";
constexpr std::string_view kLastCodebookPrefix = "last_codebook/";
constexpr std::string_view kCalibrationPrefix = "calibration/";
constexpr std::string_view kIndexContentsPrefix = "index_contents/";
constexpr std::string_view kIndexPartPrefix = "index_part/";
constexpr std::string_view kIndexChangesPrefix = "index_changes/";
constexpr std::string_view kDeletionPrefix = "deletion/";

constexpr char kNumberTag = 0;
constexpr char kStringTag = 1;

absl::Status Damaged(std::string_view kind, std::string_view key) {
  return ErrorWithReason(
      absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
      absl::StrCat("damaged key in family ", std::string(kind), ": ",
                   absl::BytesToHexString(absl::string_view(key.data(), key.size()))));
}

// The range of all keys that start with `prefix`, which must not be all 0xFF.
KeyRange PrefixRange(std::string prefix) {
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xFF') end.pop_back();
  TESSERA_CHECK(!end.empty());
  end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return {std::move(prefix), std::move(end)};
}

// What the keys of a kind in the family meta begin with, where they belong to a collection.
std::string CollectionPrefix(std::string_view kind, uint32_t collection_id) {
  std::string key(kind);
  AppendBigEndian(collection_id, &key);
  return key;
}
// Where the collection is in such a key.
size_t CollectionAt(std::string_view key) { return key.find('/') + 1; }

}  // namespace

PointIdView ViewOf(const PointId& id) {
  if (const auto* number = std::get_if<uint64_t>(&id)) return *number;
  return std::string_view(std::get<std::string>(id));
}

PointId ToPointId(const PointIdView& id) {
  if (const auto* number = std::get_if<uint64_t>(&id)) return *number;
  return std::string(std::get<std::string_view>(id));
}

std::string DescribePointId(const PointIdView& id) {
  if (const auto* number = std::get_if<uint64_t>(&id)) return absl::StrCat(*number);
  const auto text = std::get<std::string_view>(id);
  return absl::StrCat("\"", absl::Utf8SafeCEscape(absl::string_view(text.data(), text.size())),
                      "\"");
}

std::string FormatKey() { return "format"; }

std::string NextCollectionIdKey() { return "next_collection_id"; }

std::string CatalogKey(uint32_t collection_id) {
  return CollectionPrefix(kCatalogPrefix, collection_id);
}

std::string CounterKey(uint32_t collection_id) {
  return CollectionPrefix(kCounterPrefix, collection_id);
}

std::string AliasKey(std::string_view alias) {
  std::string key(kAliasPrefix);
  key.append(alias);
  return key;
}

KeyRange AliasRange() { return PrefixRange(std::string(kAliasPrefix)); }

absl::Status ParseAliasKey(std::string_view key, std::string_view* alias) {
  if (!key.starts_with(kAliasPrefix) || key.size() == kAliasPrefix.size()) {
    return Damaged("meta", key);
  }
  *alias = key.substr(kAliasPrefix.size());
  return absl::OkStatus();
}

std::string PayloadIndexKey(uint32_t collection_id, std::string_view field) {
  std::string key = CollectionPrefix(kPayloadIndexPrefix, collection_id);
  key.append(field);
  return key;
}

KeyRange PayloadIndexRange(uint32_t collection_id) {
  return PrefixRange(PayloadIndexKey(collection_id, ""));
}

absl::Status ParsePayloadIndexKey(std::string_view key, std::string_view* field) {
  if (!key.starts_with(kPayloadIndexPrefix) || key.size() <= kPayloadIndexPrefix.size() + 4) {
    return Damaged("meta", key);
  }
  *field = key.substr(kPayloadIndexPrefix.size() + 4);
  return absl::OkStatus();
}

std::string IndexContentsKey(uint32_t collection_id) {
  return CollectionPrefix(kIndexContentsPrefix, collection_id);
}

std::string IndexPartKey(const IndexPartKeyParts& parts) {
  std::string key = CollectionPrefix(kIndexPartPrefix, parts.collection_id);
  AppendBigEndian(parts.number, &key);
  AppendBigEndian(parts.field, &key);
  AppendBigEndian(parts.part, &key);
  return key;
}

KeyRange IndexPartRange(uint32_t collection_id) {
  return PrefixRange(CollectionPrefix(kIndexPartPrefix, collection_id));
}

absl::Status ParseIndexPartKey(std::string_view key, IndexPartKeyParts* parts) {
  constexpr size_t kHead = kIndexPartPrefix.size();
  if (!key.starts_with(kIndexPartPrefix) || key.size() != kHead + 16) return Damaged("meta", key);
  *parts = {ReadBigEndian<uint32_t>(key, kHead), ReadBigEndian<uint32_t>(key, kHead + 4),
            ReadBigEndian<uint32_t>(key, kHead + 8), ReadBigEndian<uint32_t>(key, kHead + 12)};
  return absl::OkStatus();
}

std::string IndexChangesKey(uint32_t collection_id, uint64_t sequence) {
  std::string key = CollectionPrefix(kIndexChangesPrefix, collection_id);
  AppendBigEndian(sequence, &key);
  return key;
}

KeyRange IndexChangesRange(uint32_t collection_id) {
  return PrefixRange(CollectionPrefix(kIndexChangesPrefix, collection_id));
}

absl::Status ParseIndexChangesKey(std::string_view key, uint64_t* sequence) {
  constexpr size_t kHead = kIndexChangesPrefix.size() + 4;
  if (!key.starts_with(kIndexChangesPrefix) || key.size() != kHead + 8) {
    return Damaged("meta", key);
  }
  *sequence = ReadBigEndian<uint64_t>(key, kHead);
  return absl::OkStatus();
}

std::string DeletionKey(const DeletionKeyParts& parts) {
  std::string key = CollectionPrefix(kDeletionPrefix, parts.collection_id);
  AppendBigEndian(parts.sequence, &key);
  AppendBigEndian(parts.part, &key);
  return key;
}

KeyRange DeletionRange(uint32_t collection_id) {
  return PrefixRange(CollectionPrefix(kDeletionPrefix, collection_id));
}

absl::Status ParseDeletionKey(std::string_view key, DeletionKeyParts* parts) {
  constexpr size_t kHead = kDeletionPrefix.size();
  if (!key.starts_with(kDeletionPrefix) || key.size() != kHead + 16) return Damaged("meta", key);
  *parts = {ReadBigEndian<uint32_t>(key, kHead), ReadBigEndian<uint64_t>(key, kHead + 4),
            ReadBigEndian<uint32_t>(key, kHead + 12)};
  return absl::OkStatus();
}

std::string SettingsKey(uint32_t collection_id) {
  return CollectionPrefix(kSettingsPrefix, collection_id);
}

std::string LastCodebookKey(uint32_t collection_id) {
  return CollectionPrefix(kLastCodebookPrefix, collection_id);
}

std::string CalibrationKey(uint32_t collection_id, uint32_t version) {
  std::string key = CollectionPrefix(kCalibrationPrefix, collection_id);
  AppendBigEndian(version, &key);
  return key;
}

KeyRange CalibrationRange(uint32_t collection_id) {
  return PrefixRange(CollectionPrefix(kCalibrationPrefix, collection_id));
}

absl::Status ParseCalibrationKey(std::string_view key, CodebookKeyParts* parts) {
  constexpr size_t kHead = kCalibrationPrefix.size();
  if (!key.starts_with(kCalibrationPrefix) || key.size() != kHead + 8) return Damaged("meta", key);
  *parts = {ReadBigEndian<uint32_t>(key, kHead), ReadBigEndian<uint32_t>(key, kHead + 4)};
  return absl::OkStatus();
}

std::string RequestKey(uint32_t collection_id, std::string_view request_id) {
  std::string key = CollectionPrefix(kRequestPrefix, collection_id);
  key.append(request_id);
  return key;
}

KeyRange RequestRange(uint32_t collection_id) { return PrefixRange(RequestKey(collection_id, "")); }

absl::Status ParseRequestKey(std::string_view key, std::string_view* request_id) {
  const size_t head = kRequestPrefix.size() + 4;
  if (!key.starts_with(kRequestPrefix) || key.size() <= head ||
      key.size() > head + limits::kRequestIdBytesMax) {
    return Damaged("meta", key);
  }
  *request_id = key.substr(head);
  return absl::OkStatus();
}

KeyRange CatalogRange() { return PrefixRange(std::string(kCatalogPrefix)); }

absl::Status ParseCatalogKey(std::string_view key, uint32_t* collection_id) {
  if (!key.starts_with(kCatalogPrefix) || key.size() != kCatalogPrefix.size() + 4) {
    return Damaged("meta", key);
  }
  *collection_id = ReadBigEndian<uint32_t>(key, kCatalogPrefix.size());
  return absl::OkStatus();
}

std::optional<uint32_t> CollectionOfMetaKey(std::string_view key) {
  if (key.starts_with(kAliasPrefix)) return {};  // a name follows, no id
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos || key.size() < slash + 1 + sizeof(uint32_t)) return {};
  return ReadBigEndian<uint32_t>(key, slash + 1);
}

KeyRange KindOfMetaKey(std::string_view key) {
  return PrefixRange(std::string(key.substr(0, CollectionAt(key) + sizeof(uint32_t))));
}

void AppendMovedMetaKey(std::string_view key, uint32_t collection_id, std::string* moved) {
  const size_t at = CollectionAt(key);
  moved->append(key.substr(0, at));
  AppendMovedKey(key.substr(at), collection_id, moved);
}

void AppendMovedKey(std::string_view key, uint32_t collection_id, std::string* moved) {
  AppendBigEndian(collection_id, moved);
  moved->append(key.substr(sizeof(collection_id)));
}

KeyRange CollectionRange(uint32_t collection_id) {
  TESSERA_CHECK(collection_id <= kCollectionIdMax);
  std::string prefix;
  AppendBigEndian(collection_id, &prefix);
  return PrefixRange(std::move(prefix));
}

absl::Status ParseCollectionOfKey(std::string_view key, uint32_t* collection_id) {
  if (key.size() < sizeof(uint32_t)) return Damaged("of a collection", key);
  *collection_id = ReadBigEndian<uint32_t>(key, 0);
  if (*collection_id > kCollectionIdMax) return Damaged("of a collection", key);
  return absl::OkStatus();
}

std::string CodebookKey(uint32_t collection_id, uint32_t version) {
  std::string key;
  AppendBigEndian(collection_id, &key);
  AppendBigEndian(version, &key);
  return key;
}

absl::Status ParseCodebookKey(std::string_view key, CodebookKeyParts* parts) {
  if (key.size() != 8) return Damaged("codebooks", key);
  *parts = {ReadBigEndian<uint32_t>(key, 0), ReadBigEndian<uint32_t>(key, 4)};
  return absl::OkStatus();
}

KeyRange CodebookRange(uint32_t collection_id, uint32_t version) {
  TESSERA_CHECK(collection_id <= kCollectionIdMax);
  return PrefixRange(CodebookKey(collection_id, version));
}

std::string CentroidKey(uint32_t collection_id, uint32_t version, uint32_t list) {
  std::string key = CodebookKey(collection_id, version);
  AppendBigEndian(list, &key);
  return key;
}

bool IsCentroidKey(std::string_view key) { return key.size() == 12; }

absl::Status ParseCentroidKey(std::string_view key, CentroidKeyParts* parts) {
  if (!IsCentroidKey(key)) return Damaged("codebooks", key);
  *parts = {ReadBigEndian<uint32_t>(key, 0), ReadBigEndian<uint32_t>(key, 4),
            ReadBigEndian<uint32_t>(key, 8)};
  return absl::OkStatus();
}

void AppendIdKeyView(uint32_t collection_id, const PointIdView& id, std::string* key) {
  AppendBigEndian(collection_id, key);
  if (const auto* number = std::get_if<uint64_t>(&id)) {
    key->push_back(kNumberTag);
    AppendBigEndian(*number, key);
  } else {
    key->push_back(kStringTag);
    key->append(std::get<std::string_view>(id));
  }
}

void AppendIdKey(uint32_t collection_id, const PointId& id, std::string* key) {
  AppendIdKeyView(collection_id, ViewOf(id), key);
}

std::string IdKey(uint32_t collection_id, const PointId& id) {
  std::string key;
  AppendIdKey(collection_id, id, &key);
  return key;
}

absl::Status ParseIdKey(std::string_view key, IdKeyParts* parts) {
  constexpr size_t kHeader = 5;
  if (key.size() < kHeader) return Damaged("ids", key);
  const std::string_view rest = key.substr(kHeader);
  if (key[4] == kNumberTag && rest.size() == sizeof(uint64_t)) {
    *parts = {ReadBigEndian<uint32_t>(key, 0), ReadBigEndian<uint64_t>(key, kHeader)};
  } else if (key[4] == kStringTag && !rest.empty() && rest.size() <= limits::kStringIdBytesMax) {
    *parts = {ReadBigEndian<uint32_t>(key, 0), rest};
  } else {
    return Damaged("ids", key);
  }
  return absl::OkStatus();
}

void AppendPointKey(uint32_t collection_id, Slot slot, std::string* key) {
  AppendBigEndian(collection_id, key);
  AppendBigEndian(slot, key);
}

std::string PointKey(uint32_t collection_id, Slot slot) {
  std::string key;
  AppendPointKey(collection_id, slot, &key);
  return key;
}

absl::Status ParsePointKey(std::string_view key, PointKeyParts* parts) {
  if (key.size() != 8) return Damaged("points", key);
  *parts = {ReadBigEndian<uint32_t>(key, 0), ReadBigEndian<uint32_t>(key, 4)};
  return absl::OkStatus();
}

void AppendCodeKey(const CodeKeyParts& parts, std::string* key) {
  AppendBigEndian(parts.collection_id, key);
  AppendBigEndian(parts.codebook_version, key);
  AppendBigEndian(parts.list, key);
  AppendBigEndian(parts.slot, key);
}

std::string CodeKey(uint32_t collection_id, uint32_t codebook_version, uint32_t list, Slot slot) {
  std::string key;
  AppendCodeKey({collection_id, codebook_version, list, slot}, &key);
  return key;
}

absl::Status ParseCodeKey(std::string_view key, CodeKeyParts* parts) {
  if (key.size() != 16) return Damaged("codes", key);
  *parts = {ReadBigEndian<uint32_t>(key, 0), ReadBigEndian<uint32_t>(key, 4),
            ReadBigEndian<uint32_t>(key, 8), ReadBigEndian<uint32_t>(key, 12)};
  return absl::OkStatus();
}

KeyRange CodesRange(uint32_t collection_id, uint32_t codebook_version) {
  TESSERA_CHECK(collection_id <= kCollectionIdMax);
  std::string prefix;
  AppendBigEndian(collection_id, &prefix);
  AppendBigEndian(codebook_version, &prefix);
  return PrefixRange(std::move(prefix));
}

}  // namespace tessera
