#include "server/fsck/store_check.h"

#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "index/tune/recall_surface.h"
#include "server/engine/records.h"
#include "server/fsck/collection_check.h"

namespace tessera {
namespace {

constexpr char kCatalog[] = "the catalog";

// What the family meta holds, as far as it can be read.
struct Catalog {
  std::map<uint32_t, CatalogRecord> collections;
  std::set<uint32_t> damaged;  // known, but the record cannot be read
  std::optional<uint32_t> next_id;
};

absl::Status CheckFormat(Store& store, Findings& findings) {
  const std::string key = FormatKey();
  const auto value = store.Get(Family::kMeta, key);
  if (!value.ok() || !value->has_value()) {
    findings.Add("the format record", value.ok() ? "it is missing" : value.status().ToString());
    return absl::OkStatus();
  }
  uint32_t format = 0;
  const absl::Status decoded = DecodeFormat(key, **value, &format);
  if (absl::IsFailedPrecondition(decoded)) return decoded;
  findings.Add("the format record", decoded);
  return decoded.ok() ? CheckStoreFormat(format) : absl::OkStatus();
}

// Whether a record, and a key with more in it than the collection, can be read.
template <class Record>
absl::Status Decode(std::string_view key, std::string_view value,
                    absl::Status (*decode)(std::string_view key, std::string_view value, Record*)) {
  Record record{};
  return decode(key, value, &record);
}
template <class Parts, class Record>
absl::Status Decode(std::string_view key, std::string_view value,
                    absl::Status (*parse)(std::string_view key, Parts*),
                    absl::Status (*decode)(std::string_view key, std::string_view value, Record*)) {
  Parts parts{};
  RETURN_IF_ERROR(parse(key, &parts));
  return Decode(key, value, decode);
}

absl::Status ReadCalibration(std::string_view key, std::string_view value) {
  CodebookKeyParts parts;
  RETURN_IF_ERROR(ParseCalibrationKey(key, &parts));
  CalibrationRecord record;
  RETURN_IF_ERROR(DecodeCalibration(key, value, &record));
  return RecallSurface::Parse(record.surface).status();
}

// A record of one collection.
absl::Status ReadCollectionRecord(std::string_view key, std::string_view value, uint32_t id,
                                  Catalog& catalog) {
  if (key == CatalogKey(id)) {
    CatalogRecord record;
    catalog.damaged.insert(id);
    RETURN_IF_ERROR(DecodeCatalog(key, value, &record));
    if (record.id != id) return absl::DataLossError("a catalog record is under another's key");
    catalog.damaged.erase(id);
    catalog.collections[id] = record;
    return absl::OkStatus();
  }
  const auto is_of = [key](const KeyRange& range) { return key >= range.begin && key < range.end; };
  if (key == CounterKey(id)) return Decode(key, value, DecodeCounter);
  if (key == SettingsKey(id)) return Decode(key, value, DecodeSettings);
  if (key == LastCodebookKey(id)) return Decode(key, value, DecodeLastCodebook);
  if (key == IndexContentsKey(id)) return Decode(key, value, DecodeIndexContents);
  if (is_of(PayloadIndexRange(id))) {
    return Decode(key, value, ParsePayloadIndexKey, DecodePayloadIndex);
  }
  if (is_of(IndexPartRange(id))) return Decode(key, value, ParseIndexPartKey, DecodeIndexPart);
  if (is_of(IndexChangesRange(id))) {
    return Decode(key, value, ParseIndexChangesKey, DecodeIndexChanges);
  }
  if (is_of(CalibrationRange(id))) return ReadCalibration(key, value);
  if (is_of(DeletionRange(id))) return Decode(key, value, ParseDeletionKey, DecodeDeletion);
  if (is_of(RequestRange(id))) return Decode(key, value, ParseRequestKey, DecodeRequest);
  return absl::DataLossError("a record of an unknown kind");
}

absl::Status ReadMetaRecord(std::string_view key, std::string_view value, Catalog& catalog) {
  if (key == FormatKey()) return absl::OkStatus();  // CheckFormat has read it
  if (key == NextCollectionIdKey()) {
    uint32_t next_id = 0;
    RETURN_IF_ERROR(DecodeNextCollectionId(key, value, &next_id));
    catalog.next_id = next_id;
    return absl::OkStatus();
  }
  std::string_view name;
  if (ParseAliasKey(key, &name).ok()) return DecodeAlias(key, value, &name);
  const std::optional<uint32_t> id = CollectionOfMetaKey(key);
  if (!id.has_value() || *id > kCollectionIdMax) {
    return absl::DataLossError("a record of an unknown kind");
  }
  return ReadCollectionRecord(key, value, *id, catalog);
}

Catalog ReadMeta(Store& store, Findings& findings) {
  Catalog catalog;
  auto it = store.Scan(Family::kMeta, "", "", /*bulk=*/false);
  for (; it->Valid(); it->Next()) {
    findings.CountRecord("meta");
    const std::string_view key = it->key();
    findings.Add(absl::StrCat("meta record ",
                              absl::Utf8SafeCEscape(absl::string_view(key.data(), key.size()))),
                 ReadMetaRecord(key, it->value(), catalog));
  }
  findings.Add(kCatalog, it->status());
  return catalog;
}

void CheckCatalog(const Catalog& catalog, Findings& findings) {
  std::map<std::string, uint32_t> names;
  for (const auto& [id, record] : catalog.collections) {
    if (!names.emplace(record.spec.name, id).second) {
      findings.Add(kCatalog, absl::StrCat("two collections have the name ", record.spec.name));
    }
    if (!catalog.next_id.has_value() || id >= *catalog.next_id) {
      findings.Add(kCatalog, absl::StrCat("collection ", record.spec.name, " has the id ", id,
                                          ", which was never given"));
    }
  }
}

// Records of collections that the catalog does not know: the next start removes them.
void CountOrphans(Store& store, const Catalog& catalog, Findings& findings) {
  for (const Family family : {Family::kCodebooks, Family::kIds, Family::kPoints, Family::kCodes}) {
    auto it = store.Scan(family, "", "", /*bulk=*/true);
    while (it->Valid()) {
      uint32_t id = 0;
      if (const absl::Status status = ParseCollectionOfKey(it->key(), &id); !status.ok()) {
        findings.Add("a key", status);
        it->Next();
      } else if (catalog.collections.contains(id) || catalog.damaged.contains(id)) {
        it->Seek(CollectionRange(id).end);
      } else {
        findings.CountLeftover();
        it->Next();
      }
    }
    if (!it->status().ok()) findings.Add("a walk over the store", it->status());
  }
}

}  // namespace

absl::Status CheckStore(Store& store, Findings& findings) {
  RETURN_IF_ERROR(CheckFormat(store, findings));
  for (const absl::Status& damage : store.CheckFiles()) findings.Add("a file of the store", damage);
  const Catalog catalog = ReadMeta(store, findings);
  findings.report().collections = catalog.collections.size() + catalog.damaged.size();
  CheckCatalog(catalog, findings);
  for (const auto& [id, record] : catalog.collections) {
    CollectionCheck(store, record, findings).Run();
  }
  CountOrphans(store, catalog, findings);
  return absl::OkStatus();
}

}  // namespace tessera
