// What can change of a collection beside its points: checked, stored, then published with a view.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/collection_spec.h"
#include "server/engine/errors.h"

namespace tessera {

CollectionSpec Collection::SpecWith(const CollectionSettings& settings) const {
  CollectionSpec spec = spec_;
  spec.index = settings.index;
  spec.durability = settings.durability;
  spec.metadata = settings.metadata;
  return spec;
}

void Collection::PutCatalog(uint32_t codebook_version, const CollectionSettings& settings,
                            StoreBatch& batch) const {
  CatalogRecord record;
  record.id = id_;
  record.spec = SpecWith(settings);
  record.create_time_ms = create_time_ms_;
  record.codebook_version = codebook_version;
  PutCatalogRecords(record, settings.revision, batch);
}

void PutCatalogRecords(const CatalogRecord& record, uint64_t revision, StoreBatch& batch) {
  std::string value;
  const std::string catalog_key = CatalogKey(record.id);
  EncodeCatalog(catalog_key, record, &value);
  batch.Put(Family::kMeta, catalog_key, value);
  const CollectionSpec& spec = record.spec;
  if (revision == 0 && spec.durability == Durability::kSync && spec.metadata.empty()) return;
  const std::string settings_key = SettingsKey(record.id);
  EncodeSettings(settings_key, {spec.durability, revision, spec.metadata}, &value);
  batch.Put(Family::kMeta, settings_key, value);
}

absl::Status Collection::RecoverSettings() {
  const std::string key = SettingsKey(id_);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.Get(Family::kMeta, key));
  if (!value.has_value()) return absl::OkStatus();
  SettingsRecordView record;
  RETURN_IF_ERROR(DecodeSettings(key, *value, &record));
  CollectionSettings settings = *settings_;
  settings.durability = record.durability;
  settings.revision = record.revision;
  settings.metadata = std::string(record.metadata);
  settings_ = std::make_shared<CollectionSettings>(std::move(settings));
  return absl::OkStatus();
}

absl::Status Collection::UpdateSettings(const SettingsEdit& edit,
                                        std::optional<uint64_t> expected_revision) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    if (expected_revision.has_value() && *expected_revision != settings_->revision) {
      return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "REVISION_MISMATCH",
                             absl::StrCat("collection ", spec_.name, " has revision ",
                                          settings_->revision, ", not ", *expected_revision));
    }
    CollectionSettings changed = *settings_;
    RETURN_IF_ERROR(edit(&changed));
    CollectionSpec spec = SpecWith(changed);
    RETURN_IF_ERROR(CompleteCollectionSpec(&spec));
    changed.index = spec.index;
    ++changed.revision;
    auto batch = store_.NewBatch();
    PutCatalog(codebook_version_, changed, *batch);
    RETURN_IF_ERROR(store_.Commit(*batch, Durability::kSync));
    settings_ = std::make_shared<CollectionSettings>(std::move(changed));
    Publish();
    return absl::OkStatus();
  });
}

}  // namespace tessera
