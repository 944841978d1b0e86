// Collections as a whole: opened, made, changed, removed, kept in order.
#include "server/engine/engine.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "server/engine/collection_spec.h"
#include "server/engine/engine_impl.h"
#include "server/engine/errors.h"
#include "server/engine/orphans.h"
#include "server/engine/records.h"
#include "server/engine/recovery_progress.h"
#include "server/engine/request_checks.h"

namespace tessera {
namespace {

constexpr absl::Duration kDiskMaintenancePeriod = absl::Seconds(1);
// A server that is told to stop is killed after some ten seconds.
constexpr absl::Duration kStoreOnCloseMost = absl::Seconds(3);

}  // namespace

EngineImpl::EngineImpl(std::unique_ptr<Store> store, Executor& executor,
                       const EngineOptions& options)
    : store_(std::move(store)),
      executor_(executor),
      options_(options),
      row_files_({options.row_path, options.free_disk_bytes_min,
                  [this](std::string_view message) { Log(std::string(message)); }}),
      collections_(std::make_shared<CollectionMap>()),
      aliases_(*store_),
      snapshots_(*store_, operations_, SnapshotCatalog()),
      recall_monitor_(options.verify_core_share > 0
                          ? std::make_unique<RecallMonitor>(options.verify_core_share)
                          : nullptr),
      list_maintenance_(absl::InfiniteDuration(), [this] { return MaintainLists(); }),
      disk_maintenance_(kDiskMaintenancePeriod, [this] { return MaintainDisk(); }),
      sync_(absl::Milliseconds(limits::kAsyncSyncMsMax), [this] { return SyncAsyncWrites(); }) {}

std::shared_ptr<Collection> EngineImpl::NewCollection(const CatalogRecord& record) {
  return std::make_shared<Collection>(
      *store_, executor_, record,
      Collection::Hooks{.lists_need_work = [this] { list_maintenance_.Wake(); },
                        .wrote_async = [this] { unsynced_.store(true); },
                        .log = [this](const std::string& message) { Log(message); }},
      Collection::Options{.deletion_step_points = options_.deletion_step_points,
                          .row_files = options_.row_path.empty() ? nullptr : &row_files_,
                          .search_executor = options_.search_executor});
}

absl::StatusOr<std::shared_ptr<Collection>> EngineImpl::Find(const std::string& name) const {
  const auto collections = collections_.load();
  auto it = collections->find(name);
  if (it == collections->end()) {
    const std::optional<std::string> target = aliases_.Find(name);
    if (target.has_value()) it = collections->find(*target);
  }
  if (it == collections->end()) return NotFound("collection", name);
  return it->second;
}

CollectionInfo EngineImpl::InfoOf(const Collection& collection) {
  CollectionInfo info = collection.Info();
  if (operations_.IsTraining(info.spec.name)) info.state = CollectionState::kTraining;
  return info;
}

absl::Status EngineImpl::RecoverFormat() {
  const std::string key = FormatKey();
  ASSIGN_OR_RETURN(std::optional<std::string> value, store_->Get(Family::kMeta, key));
  if (value.has_value()) {
    uint32_t format = 0;
    RETURN_IF_ERROR(DecodeFormat(key, *value, &format));
    RETURN_IF_ERROR(CheckStoreFormat(format));
    if (format == kStoreFormat) return absl::OkStatus();
    // All that an older format has, this one has too. From now on an older server, which would not
    // see what is new, refuses the store.
    Log(absl::StrCat("the store goes from format ", format, " to ", kStoreFormat));
    return WriteFormat();
  }
  const KeyRange catalog = CatalogRange();
  auto it = store_->Scan(Family::kMeta, catalog.begin, catalog.end, /*bulk=*/false);
  RETURN_IF_ERROR(it->status());
  if (it->Valid()) {
    return ErrorWithReason(absl::StatusCode::kDataLoss, "STORE_FORMAT",
                           "the store has collections but its format record is missing");
  }
  return WriteFormat();
}

absl::Status EngineImpl::WriteFormat() {
  auto batch = store_->NewBatch();
  std::string value;
  EncodeFormat(FormatKey(), kStoreFormat, &value);
  batch->Put(Family::kMeta, FormatKey(), value);
  return store_->Commit(*batch, Durability::kSync);
}

absl::Status EngineImpl::Recover() {
  RETURN_IF_ERROR(RecoverFormat());
  absl::MutexLock lock(&catalog_mutex_);
  const std::string id_key = NextCollectionIdKey();
  ASSIGN_OR_RETURN(std::optional<std::string> next_id, store_->Get(Family::kMeta, id_key));
  if (next_id.has_value()) {
    RETURN_IF_ERROR(DecodeNextCollectionId(id_key, *next_id, &next_collection_id_));
  }
  auto recovered = std::make_shared<CollectionMap>();
  const KeyRange range = CatalogRange();
  auto it = store_->Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  for (; it->Valid(); it->Next()) {
    CatalogRecord record;
    RETURN_IF_ERROR(DecodeCatalog(it->key(), it->value(), &record));
    const absl::Time start = absl::Now();
    auto collection = NewCollection(record);
    RETURN_IF_ERROR(RecoverCollection(*collection));
    Log(absl::StrCat("recovered collection ", record.spec.name, ": ", collection->points(),
                     " points, codebook ", record.codebook_version, ", in ",
                     absl::ToInt64Milliseconds(absl::Now() - start), " ms"));
    (*recovered)[record.spec.name] = std::move(collection);
  }
  RETURN_IF_ERROR(it->status());
  std::set<uint32_t> ids;
  for (const auto& [name, collection] : *recovered) ids.insert(collection->id());
  if (!options_.row_path.empty()) row_files_.RemoveOthers(ids);
  collections_.store(std::move(recovered));
  list_maintenance_.Wake();
  RETURN_IF_ERROR(aliases_.Recover());
  const absl::Status swept = SweepOrphans(*store_, ids);
  if (!absl::IsResourceExhausted(swept)) return swept;
  Log(absl::StrCat("records without a collection stay until the next start: ", swept.ToString()));
  return absl::OkStatus();
}

absl::Status EngineImpl::RecoverCollection(Collection& collection) const {
  RecoveryProgress progress(options_.recovery_log_period, [&](uint64_t records) {
    Log(absl::StrCat("recovering collection ", collection.spec().name, ": ", records,
                     " records read"));
  });
  return collection.Recover(progress);
}

// A step of work for each collection that has some.
bool EngineImpl::MaintainLists() {
  const auto collections = collections_.load();
  bool more = false;
  for (const auto& [name, collection] : *collections) more |= collection->Maintain(absl::Now());
  return more;
}

bool EngineImpl::SyncAsyncWrites() {
  if (!unsynced_.exchange(false)) return false;
  // After a failed sync the store takes no more writes, and says so to the next one.
  if (absl::Status status = store_->Sync(); !status.ok()) {
    Log(absl::StrCat("syncing the log: ", status.ToString()));
  }
  return false;
}

bool EngineImpl::MaintainDisk() {
  const auto collections = collections_.load();
  const absl::Time quiet_since = absl::Now() - options_.quiet_before_compaction;
  for (const auto& [name, collection] : *collections) {
    if (closing_.load()) break;
    collection->ReleaseOldViews();
    if (collection->IsSplitDue(absl::Now()) || collection->HasSpareSlots() ||
        collection->HasLeftovers()) {
      list_maintenance_.Wake();
    }
    const auto go_on = [this] { return !closing_.load(); };
    collection->KeepIndexContents(quiet_since, go_on);
    collection->StayCalibrated(quiet_since, go_on);
    if (!collection->HasSpareDisk(quiet_since)) continue;
    if (absl::Status status = collection->CompactDisk(&closing_); !status.ok()) {
      if (!absl::IsCancelled(status))
        Log(absl::StrCat("compacting ", name, ": ", status.ToString()));
    }
  }
  return false;
}

absl::Status EngineImpl::Close() {
  operations_.Shutdown();
  closing_.store(true);
  if (recall_monitor_ != nullptr) recall_monitor_->Stop();
  list_maintenance_.Stop();
  disk_maintenance_.Stop();
  sync_.Stop();
  absl::MutexLock lock(&catalog_mutex_);
  if (closed_) return absl::OkStatus();
  closed_ = true;
  // So that the next start reads as little as it can; what is not stored it finds without.
  const absl::Time deadline = absl::Now() + kStoreOnCloseMost;
  const auto collections = collections_.load();
  for (const auto& [name, collection] : *collections) {
    collection->KeepIndexContents(absl::InfiniteFuture(), [&] { return absl::Now() < deadline; });
    collection->CloseRowFiles();
  }
  return store_->Close();
}

absl::StatusOr<CollectionInfo> EngineImpl::CreateCollection(const CollectionSpec& requested) {
  CollectionSpec spec = requested;
  RETURN_IF_ERROR(CompleteCollectionSpec(&spec));
  absl::MutexLock lock(&catalog_mutex_);
  const auto collections = collections_.load();
  RETURN_IF_ERROR(CheckNameFree(*collections, spec.name, /*replace=*/false));
  CatalogRecord record;
  record.id = next_collection_id_;
  record.spec = spec;
  record.create_time_ms = absl::ToUnixMillis(absl::Now());
  auto batch = store_->NewBatch();
  PutCatalogRecords(record, /*revision=*/0, *batch);
  std::string value;
  const std::string counter_key = CounterKey(record.id);
  EncodeCounter(counter_key, CounterRecord{}, &value);
  batch->Put(Family::kMeta, counter_key, value);
  const std::string id_key = NextCollectionIdKey();
  EncodeNextCollectionId(id_key, record.id + 1, &value);
  batch->Put(Family::kMeta, id_key, value);
  RETURN_IF_ERROR(store_->Commit(*batch, Durability::kSync));

  ++next_collection_id_;
  auto collection = NewCollection(record);
  collection->OpenRowFiles();
  auto next = std::make_shared<CollectionMap>(*collections);
  (*next)[spec.name] = collection;
  collections_.store(std::move(next));
  return InfoOf(*collection);
}

absl::StatusOr<CollectionSpec> EngineImpl::DescribeCollection(const std::string& name) {
  ASSIGN_OR_RETURN(auto collection, Find(name));
  return collection->spec();
}

absl::StatusOr<CollectionInfo> EngineImpl::GetCollection(const std::string& name) {
  ASSIGN_OR_RETURN(auto collection, Find(name));
  return InfoOf(*collection);
}

absl::StatusOr<CollectionInfo> EngineImpl::UpdateCollection(
    const std::string& name, const SettingsEdit& edit, std::optional<uint64_t> expected_revision) {
  while (true) {
    ASSIGN_OR_RETURN(const auto collection, Find(name));
    const absl::Status status = collection->UpdateSettings(edit, expected_revision);
    if (absl::IsNotFound(status) && collection->dropped()) continue;  // perhaps replaced
    RETURN_IF_ERROR(status);
    return InfoOf(*collection);
  }
}

std::vector<CollectionInfo> EngineImpl::ListCollections(const std::string& after, size_t limit) {
  const auto collections = collections_.load();
  std::vector<CollectionInfo> infos;
  for (auto it = collections->upper_bound(after); it != collections->end() && infos.size() < limit;
       ++it) {
    infos.push_back(InfoOf(*it->second));
  }
  return infos;
}

absl::StatusOr<ListStatistics> EngineImpl::GetListStatistics(const std::string& name,
                                                             size_t page_size,
                                                             const std::string& page_token) {
  ASSIGN_OR_RETURN(auto collection, Find(name));
  RETURN_IF_ERROR(CheckPageSize(page_size));
  return collection->GetListStatistics(page_size, page_token);
}

absl::Status EngineImpl::DeleteCollection(const std::string& name) {
  ASSIGN_OR_RETURN(auto collection, Find(name));
  operations_.CancelAndWait(name);
  absl::MutexLock lock(&catalog_mutex_);
  // Another call may have been faster, and may even have made a new one of the same name.
  const auto collections = collections_.load();
  const auto it = collections->find(name);
  if (it == collections->end() || it->second != collection) return NotFound("collection", name);
  auto batch = store_->NewBatch();
  const auto aliases = aliases_.Without(name, *batch);
  return collection->Drop(std::move(batch), [&] {
    auto next = std::make_shared<CollectionMap>(*collections);
    next->erase(name);
    collections_.store(std::move(next));
    aliases_.Publish(aliases);
  });
}

Snapshots::Catalog EngineImpl::SnapshotCatalog() {
  Snapshots::Catalog catalog;
  catalog.find = [this](const std::string& name) -> absl::StatusOr<Snapshots::Found> {
    ASSIGN_OR_RETURN(auto collection, Find(name));
    return Snapshots::Found{collection->id(), collection->spec().name};
  };
  catalog.new_id = [this] { return NewCollectionId(); };
  catalog.install = [this](const CatalogRecord& record, bool replace) {
    return Install(record, replace);
  };
  return catalog;
}

absl::Status EngineImpl::CheckRoom(const CollectionMap& collections) const {
  if (collections.size() < limits::kCollectionsMax && next_collection_id_ <= kCollectionIdMax) {
    return absl::OkStatus();
  }
  return ErrorWithReason(absl::StatusCode::kResourceExhausted, "TOO_MANY_COLLECTIONS",
                         absl::StrCat("at most ", limits::kCollectionsMax, " collections"));
}

absl::Status EngineImpl::CheckNameFree(const CollectionMap& collections, const std::string& name,
                                       bool replace) const {
  if (aliases_.Find(name).has_value()) return AliasExists(name);
  if (!collections.contains(name)) return CheckRoom(collections);
  if (replace) return absl::OkStatus();
  return ErrorWithReason(absl::StatusCode::kAlreadyExists, "COLLECTION_EXISTS",
                         absl::StrCat("collection ", name, " exists already"));
}

absl::StatusOr<uint32_t> EngineImpl::NewCollectionId() {
  absl::MutexLock lock(&catalog_mutex_);
  RETURN_IF_ERROR(CheckRoom(*collections_.load()));
  auto batch = store_->NewBatch();
  const std::string key = NextCollectionIdKey();
  std::string value;
  EncodeNextCollectionId(key, next_collection_id_ + 1, &value);
  batch->Put(Family::kMeta, key, value);
  RETURN_IF_ERROR(store_->Commit(*batch, Durability::kSync));
  return next_collection_id_++;
}

absl::Status EngineImpl::Install(const CatalogRecord& record, bool replace) {
  auto collection = NewCollection(record);
  RETURN_IF_ERROR(RecoverCollection(*collection));
  absl::MutexLock lock(&catalog_mutex_);
  const auto collections = collections_.load();
  RETURN_IF_ERROR(CheckNameFree(*collections, record.spec.name, replace));
  const auto old = collections->find(record.spec.name);
  auto batch = store_->NewBatch();
  const std::string key = CatalogKey(record.id);
  std::string value;
  EncodeCatalog(key, record, &value);
  batch->Put(Family::kMeta, key, value);
  const auto publish = [&] {
    auto next = std::make_shared<CollectionMap>(*collections);
    (*next)[record.spec.name] = collection;
    collections_.store(std::move(next));
    list_maintenance_.Wake();
  };
  if (old != collections->end()) return old->second->Drop(std::move(batch), publish);
  RETURN_IF_ERROR(store_->Commit(*batch, Durability::kSync));
  publish();
  return absl::OkStatus();
}

absl::Status EngineImpl::UpdateAliases(const std::vector<AliasAction>& actions) {
  absl::MutexLock lock(&catalog_mutex_);
  const auto collections = collections_.load();
  return aliases_.Update(actions,
                         [&](const std::string& name) { return collections->contains(name); });
}

std::vector<AliasAction> EngineImpl::ListAliases(const std::string& collection) {
  std::vector<AliasAction> aliases;
  for (const auto& [alias, target] : *aliases_.map()) {
    if (collection.empty() || collection == target) aliases.push_back({alias, target});
  }
  return aliases;
}

absl::StatusOr<OperationInfo> EngineImpl::CreatePayloadIndex(const std::string& collection,
                                                             const PayloadIndexSpec& spec) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  ASSIGN_OR_RETURN(const PayloadIndexBuild build, found->AddPayloadIndex(spec));
  auto operation = operations_.Start(
      "create_payload_index", found->spec().name,
      [found, build](Operations::Context& context) {
        return found->BuildPayloadIndex(build, context);
      },
      Operations::Kind::kBeside);
  if (!operation.ok()) found->GiveUpPayloadIndex(build);
  return operation;
}

absl::Status EngineImpl::DropPayloadIndex(const std::string& collection, const std::string& key) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->DropPayloadIndex(FieldPath(key).text());
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(std::unique_ptr<Store> store,
                                                     Executor& executor,
                                                     const EngineOptions& options) {
  auto engine = std::make_unique<EngineImpl>(std::move(store), executor, options);
  RETURN_IF_ERROR(engine->Recover());
  if (!options.snapshot_path.empty()) {
    RETURN_IF_ERROR(engine->snapshots().Open(options.snapshot_path, options.version));
  }
  return engine;
}

}  // namespace tessera
