#include "server/engine/snapshots.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/slot_set.h"
#include "index/base/status_macros.h"
#include "server/engine/collection_spec.h"
#include "server/engine/deletions.h"
#include "server/engine/errors.h"
#include "server/engine/record_copy.h"

namespace tessera {
namespace {

constexpr uint64_t kRecordsPerReport = 100'000;

SnapshotProgress Report(const char* phase, Operations::Context& operation) {
  return [phase, &operation](uint64_t done, uint64_t total) {
    return operation.OnProgress(phase, done, total);
  };
}

absl::Status Damaged(const std::string& what) {
  return ErrorWithReason(absl::StatusCode::kDataLoss, "SNAPSHOT_DAMAGED", what);
}

absl::StatusOr<CatalogRecord> CatalogOf(const SnapshotManifest& manifest) {
  CatalogRecord record;
  RETURN_IF_ERROR(DecodeCatalog(CatalogKey(manifest.collection_id), manifest.catalog, &record));
  return record;
}

absl::StatusOr<SnapshotInfo> Describe(const std::string& id, const SnapshotManifest& manifest) {
  SnapshotInfo info;
  info.id = id;
  ASSIGN_OR_RETURN(const CatalogRecord record, CatalogOf(manifest));
  info.spec = record.spec;
  info.sequence = manifest.sequence;
  info.points = manifest.points;
  info.files = manifest.files.size();
  info.bytes = manifest.TotalBytes();
  info.create_time_ms = manifest.create_time_ms;
  info.creator_version = manifest.creator_version;
  info.format_version = kSnapshotFormat;
  return info;
}

// A snapshot may be older or newer than the server: its store says what may be in it.
absl::StatusOr<std::unique_ptr<Store>> OpenSnapshotStore(Store& store, const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> copy, store.OpenCheckpoint(path));
  const std::string key = FormatKey();
  ASSIGN_OR_RETURN(const auto value, copy->Get(Family::kMeta, key));
  if (!value.has_value()) return Damaged("the store has no format record");
  uint32_t format = 0;
  RETURN_IF_ERROR(DecodeFormat(key, *value, &format));
  RETURN_IF_ERROR(CheckStoreFormat(format));
  return copy;
}

}  // namespace

class Snapshots::Use {
 public:
  Use(Snapshots& owner, std::string id) : owner_(owner), id_(std::move(id)) {}
  ~Use() {
    absl::MutexLock lock(&owner_.mutex_);
    owner_.used_.erase(owner_.used_.find(id_));
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  Snapshots& owner_;
  const std::string id_;
};

absl::Status Snapshots::Open(const std::string& path, const std::string& creator_version) {
  creator_version_ = creator_version;
  ASSIGN_OR_RETURN(directory_, SnapshotDirectory::Open(path));
  return absl::OkStatus();
}

absl::Status Snapshots::CheckEnabled() const {
  if (directory_ != nullptr) return absl::OkStatus();
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "SNAPSHOTS_DISABLED",
                         "this server has no folder for snapshots");
}

absl::StatusOr<SnapshotManifest> Snapshots::ReadManifest(const std::string& id) const {
  RETURN_IF_ERROR(CheckEnabled());
  absl::StatusOr<SnapshotManifest> manifest = directory_->ReadManifest(id);
  if (absl::IsNotFound(manifest.status())) return NotFound("snapshot", id);
  return manifest;
}

absl::StatusOr<std::shared_ptr<Snapshots::Use>> Snapshots::StartUse(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  used_.insert(id);
  return std::make_shared<Use>(*this, id);
}

absl::StatusOr<OperationInfo> Snapshots::Create(const std::string& collection) {
  RETURN_IF_ERROR(CheckEnabled());
  ASSIGN_OR_RETURN(const Found found, catalog_.find(collection));
  return operations_.Start(
      "create_snapshot", found.name,
      [this, collection_id = found.id](Operations::Context& operation) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, directory_->Begin(absl::ToUnixMillis(absl::Now())));
        operation.SetSnapshot(id);
        absl::Status status = RunCreate(id, collection_id, operation);
        if (!status.ok()) directory_->Abandon(id);
        return status;
      },
      Operations::Kind::kBeside);
}

absl::Status Snapshots::RunCreate(const std::string& id, uint32_t collection_id,
                                  Operations::Context& operation) const {
  operation.OnProgress("checkpoint", 0, 1);
  const std::string store_path = directory_->PendingStorePath(id);
  RETURN_IF_ERROR(store_.Checkpoint(store_path));
  ASSIGN_OR_RETURN(SnapshotManifest manifest, Describe(store_path, collection_id, operation));
  manifest.create_time_ms = absl::ToUnixMillis(absl::Now());
  manifest.creator_version = creator_version_;
  return directory_->Publish(id, std::move(manifest), Report("checksums", operation));
}

// What the checkpoint itself says of the collection: its sequence is the one that counts, however
// many writes have come meanwhile.
absl::StatusOr<SnapshotManifest> Snapshots::Describe(const std::string& store_path,
                                                     uint32_t collection_id,
                                                     Operations::Context& operation) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> copy, store_.OpenCheckpoint(store_path));
  SnapshotManifest manifest;
  manifest.collection_id = collection_id;
  ASSIGN_OR_RETURN(const auto catalog, copy->Get(Family::kMeta, CatalogKey(collection_id)));
  const std::string counter_key = CounterKey(collection_id);
  ASSIGN_OR_RETURN(const auto counter_value, copy->Get(Family::kMeta, counter_key));
  if (!catalog.has_value() || !counter_value.has_value()) {
    return ErrorWithReason(absl::StatusCode::kNotFound, "NOT_FOUND",
                           "the collection was deleted meanwhile");
  }
  manifest.catalog = *catalog;
  RETURN_IF_ERROR(CatalogOf(manifest).status());
  CounterRecord counter;
  RETURN_IF_ERROR(DecodeCounter(counter_key, *counter_value, &counter));
  manifest.sequence = counter.sequence;
  ASSIGN_OR_RETURN(const SlotSet leftover, DeletedSlots(*copy, collection_id, counter.next_slot));
  const KeyRange range = CollectionRange(collection_id);
  auto it = copy->Scan(Family::kIds, range.begin, range.end, /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    Slot slot = 0;
    RETURN_IF_ERROR(DecodeSlot(it->key(), it->value(), &slot));
    if (leftover.Contains(slot)) continue;
    if (++manifest.points % kRecordsPerReport == 0 &&
        !operation.OnProgress("counting", manifest.points, 0)) {
      return absl::CancelledError("cancelled while counting");
    }
  }
  RETURN_IF_ERROR(it->status());
  return manifest;
}

absl::StatusOr<std::vector<SnapshotInfo>> Snapshots::List(const std::string& after, size_t limit) {
  RETURN_IF_ERROR(CheckEnabled());
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, directory_->List());
  std::vector<SnapshotInfo> infos;
  for (auto id = std::upper_bound(ids.begin(), ids.end(), after);
       id != ids.end() && infos.size() < limit; ++id) {
    absl::StatusOr<SnapshotInfo> info = Get(*id);
    if (absl::IsNotFound(info.status())) continue;  // deleted meanwhile
    if (info.ok()) {
      infos.push_back(*std::move(info));
    } else {
      infos.push_back({.id = *id, .damage = info.status()});
    }
  }
  return infos;
}

absl::StatusOr<SnapshotInfo> Snapshots::Get(const std::string& id) {
  ASSIGN_OR_RETURN(const SnapshotManifest manifest, ReadManifest(id));
  return tessera::Describe(id, manifest);
}

absl::StatusOr<OperationInfo> Snapshots::Verify(const std::string& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Use> use, StartUse(id));
  ASSIGN_OR_RETURN(const SnapshotManifest manifest, ReadManifest(id));
  ASSIGN_OR_RETURN(const CatalogRecord record, CatalogOf(manifest));
  return operations_.Start(
      "verify_snapshot", record.spec.name,
      [this, use, id, manifest](Operations::Context& operation) {
        return RunVerify(id, manifest, operation);
      },
      Operations::Kind::kBeside);
}

absl::Status Snapshots::RunVerify(const std::string& id, const SnapshotManifest& manifest,
                                  Operations::Context& operation) const {
  operation.SetSnapshot(id);
  RETURN_IF_ERROR(directory_->Verify(id, manifest, Report("checksums", operation)));
  // The files are what they were; whether the records in them can be read is the other question.
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> copy,
                   OpenSnapshotStore(store_, directory_->StorePath(id)));
  return CheckCollectionRecords({*copy, manifest.collection_id}, [&](uint64_t records) {
    return operation.OnProgress("records", records, 0);
  });
}

absl::Status Snapshots::Delete(const std::string& id) {
  RETURN_IF_ERROR(CheckEnabled());
  absl::MutexLock lock(&mutex_);
  if (used_.contains(id)) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "SNAPSHOT_IN_USE",
                           absl::StrCat("snapshot ", id, " is being verified or restored"));
  }
  const absl::Status status = directory_->Remove(id);
  return absl::IsNotFound(status) ? NotFound("snapshot", id) : status;
}

absl::StatusOr<OperationInfo> Snapshots::Restore(const RestoreRequest& request) {
  const std::string& id = request.snapshot_id;
  ASSIGN_OR_RETURN(const std::shared_ptr<Use> use, StartUse(id));
  ASSIGN_OR_RETURN(const SnapshotManifest manifest, ReadManifest(id));
  ASSIGN_OR_RETURN(CatalogRecord record, CatalogOf(manifest));
  if (!request.collection.empty()) record.spec.name = request.collection;
  RETURN_IF_ERROR(CompleteCollectionSpec(&record.spec));
  const absl::StatusOr<Found> there = catalog_.find(record.spec.name);
  if (there.ok() && there->name != record.spec.name) return AliasExists(record.spec.name);
  if (there.ok() && !request.replace) {
    return ErrorWithReason(
        absl::StatusCode::kAlreadyExists, "COLLECTION_EXISTS",
        absl::StrCat("collection ", record.spec.name,
                     " exists already; restore under another name, or ask to replace it"));
  }
  return operations_.Start(
      "restore_snapshot", record.spec.name,
      [this, use, id, manifest, record, replace = request.replace](Operations::Context& operation) {
        return RunRestore(id, manifest, record, replace, operation);
      });
}

absl::Status Snapshots::RunRestore(const std::string& id, const SnapshotManifest& manifest,
                                   const CatalogRecord& record, bool replace,
                                   Operations::Context& operation) const {
  operation.SetSnapshot(id);
  RETURN_IF_ERROR(directory_->Verify(id, manifest, Report("checksums", operation)));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> copy,
                   OpenSnapshotStore(store_, directory_->StorePath(id)));
  ASSIGN_OR_RETURN(const auto catalog,
                   copy->Get(Family::kMeta, CatalogKey(manifest.collection_id)));
  if (catalog != manifest.catalog) return Damaged("MANIFEST and the store disagree");
  CatalogRecord restored = record;
  ASSIGN_OR_RETURN(restored.id, catalog_.new_id());
  restored.create_time_ms = absl::ToUnixMillis(absl::Now());
  absl::Status status =
      CopyCollection({*copy, manifest.collection_id}, {store_, restored.id},
                     [&](uint64_t records) { return operation.OnProgress("copying", records, 0); });
  if (status.ok()) {
    operation.OnProgress("installing", 0, 1);
    status = catalog_.install(restored, replace);
  }
  // The next start would sweep it away as well.
  if (!status.ok()) DropCollectionRecords(store_, restored.id).IgnoreError();
  return status;
}

}  // namespace tessera
