#include "server/engine/engine.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/aliases.h"
#include "server/engine/collection.h"
#include "server/engine/collection_spec.h"
#include "server/engine/errors.h"
#include "server/engine/maintenance.h"
#include "server/engine/operations.h"
#include "server/engine/orphans.h"
#include "server/engine/records.h"
#include "server/engine/recovery_progress.h"
#include "server/engine/request_checks.h"
#include "server/engine/search_parts.h"

namespace tessera {
namespace {

constexpr absl::Duration kDiskMaintenancePeriod = absl::Seconds(1);
// A server that is told to stop is killed after some ten seconds.
constexpr absl::Duration kStoreOnCloseMost = absl::Seconds(3);

// Codes and vectors that a search reads, about.
constexpr size_t kSearchBytes = size_t{512} << 10;

using CollectionMap = std::map<std::string, std::shared_ptr<Collection>>;

class EngineImpl final : public Engine {
 public:
  EngineImpl(std::unique_ptr<Store> store, Executor& executor, const EngineOptions& options)
      : store_(std::move(store)),
        executor_(executor),
        options_(options),
        row_files_({options.row_path, options.free_disk_bytes_min,
                    [this](std::string_view message) { Log(std::string(message)); }}),
        collections_(std::make_shared<CollectionMap>()),
        aliases_(*store_),
        snapshots_(*store_, operations_, SnapshotCatalog()),
        list_maintenance_(absl::InfiniteDuration(), [this] { return MaintainLists(); }),
        disk_maintenance_(kDiskMaintenancePeriod, [this] { return MaintainDisk(); }),
        sync_(absl::Milliseconds(limits::kAsyncSyncMsMax), [this] { return SyncAsyncWrites(); }) {}
  ~EngineImpl() override { Close().IgnoreError(); }

  absl::Status Recover();
  absl::Status Close() override;

  absl::StatusOr<CollectionInfo> CreateCollection(const CollectionSpec& spec) override;
  absl::StatusOr<CollectionSpec> DescribeCollection(const std::string& name) override;
  absl::StatusOr<CollectionInfo> GetCollection(const std::string& name) override;
  absl::StatusOr<CollectionInfo> UpdateCollection(
      const std::string& name, const SettingsEdit& edit,
      std::optional<uint64_t> expected_revision) override;
  std::vector<CollectionInfo> ListCollections(const std::string& after, size_t limit) override;
  absl::StatusOr<ListStatistics> GetListStatistics(const std::string& name, size_t page_size,
                                                   const std::string& page_token) override;
  absl::Status DeleteCollection(const std::string& name) override;

  absl::Status UpdateAliases(const std::vector<AliasAction>& actions) override;
  std::vector<AliasAction> ListAliases(const std::string& collection) override;
  absl::StatusOr<OperationInfo> CreatePayloadIndex(const std::string& collection,
                                                   const PayloadIndexSpec& spec) override;
  absl::Status DropPayloadIndex(const std::string& collection, const std::string& key) override;

  absl::StatusOr<WriteResult> Upsert(const std::string& collection,
                                     const UpsertBatch& batch) override;
  absl::StatusOr<WriteResult> DeletePoints(const std::string& collection,
                                           const std::vector<PointId>& ids,
                                           const WriteOptions& options) override;
  absl::StatusOr<WriteResult> DeleteByFilter(const std::string& collection, const Filter& filter,
                                             const WriteOptions& options) override;
  absl::StatusOr<WriteResult> EditPoints(const std::string& collection,
                                         const std::vector<PointId>& ids, const PointEdit& edit,
                                         const WriteOptions& options) override;
  absl::StatusOr<WriteResult> EditByFilter(const std::string& collection, const Filter& filter,
                                           const PointEdit& edit,
                                           const WriteOptions& options) override;
  absl::StatusOr<WriteResult> UpdateVectors(const std::string& collection,
                                            const std::vector<PointId>& ids, VectorsView vectors,
                                            const WriteOptions& options) override;
  absl::StatusOr<std::vector<PointData>> GetPoints(const std::string& collection,
                                                   const std::vector<PointId>& ids,
                                                   const PointFields& fields,
                                                   ElementType* element_type) override;
  absl::StatusOr<uint64_t> CountPoints(const std::string& collection,
                                       const Filter& filter) override;
  absl::StatusOr<PointsCount> EstimatePoints(const std::string& collection,
                                             const Filter& filter) override;
  absl::StatusOr<ScrollPage> ScrollInOrder(const std::string& collection, const ScrollOrder& order,
                                           size_t page_size, const std::string& page_token,
                                           const Filter& filter, const PointFields& fields,
                                           ElementType* element_type) override;
  absl::StatusOr<ScrollPage> ScrollPoints(const std::string& collection, size_t page_size,
                                          const std::string& page_token, const Filter& filter,
                                          const PointFields& fields,
                                          ElementType* element_type) override;
  absl::StatusOr<RangeResult> SearchRange(const RangeRequest& request) override;
  absl::StatusOr<GroupsResult> SearchGroups(const GroupsRequest& request) override;
  absl::StatusOr<FacetResult> Facet(const FacetRequest& request) override;
  SearchPace PaceOf(const SearchRequest& request) override;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override;
  std::vector<absl::StatusOr<SearchResult>> SearchEach(
      std::span<const SearchRequest> requests) override;

  absl::StatusOr<OperationInfo> Calibrate(const CalibrateRequest& request) override;
  absl::StatusOr<OperationInfo> Train(const TrainRequest& request) override;
  absl::StatusOr<CodebookInfo> GetCodebook(const std::string& collection,
                                           uint32_t version) override;
  absl::StatusOr<std::vector<CodebookInfo>> ListCodebooks(const std::string& collection) override;
  absl::StatusOr<OperationInfo> ActivateCodebook(const std::string& collection,
                                                 uint32_t version) override;
  absl::Status DeleteCodebook(const std::string& collection, uint32_t version) override;
  absl::StatusOr<CodeRows> Encode(const std::string& collection, VectorsView vectors) override;
  absl::StatusOr<std::vector<float>> Decode(const std::string& collection,
                                            const CodeRows& codes) override;
  absl::StatusOr<std::string> ExportCodebook(const std::string& collection,
                                             uint32_t version) override;
  absl::StatusOr<OperationInfo> ImportCodebook(const std::string& collection,
                                               std::string bytes) override;

  Snapshots& snapshots() override { return snapshots_; }

  absl::StatusOr<OperationInfo> GetOperation(const std::string& id) override {
    return operations_.Get(id);
  }
  std::vector<OperationInfo> ListOperations(const std::string& collection) override {
    return operations_.List(collection);
  }
  absl::StatusOr<OperationInfo> AwaitOperation(const std::string& id, uint64_t after_revision,
                                               absl::Duration timeout) override {
    return operations_.Await(id, after_revision, timeout);
  }
  absl::StatusOr<OperationInfo> CancelOperation(const std::string& id) override {
    return operations_.Cancel(id);
  }

 private:
  absl::StatusOr<std::shared_ptr<Collection>> Find(const std::string& name) const;
  std::shared_ptr<Collection> NewCollection(const CatalogRecord& record) {
    return std::make_shared<Collection>(
        *store_, executor_, record,
        Collection::Hooks{.lists_need_work = [this] { list_maintenance_.Wake(); },
                          .wrote_async = [this] { unsynced_.store(true); },
                          .log = [this](const std::string& message) { Log(message); }},
        Collection::Options{.deletion_step_points = options_.deletion_step_points,
                            .row_files = options_.row_path.empty() ? nullptr : &row_files_,
                            .search_executor = options_.search_executor});
  }
  bool MaintainLists();
  bool MaintainDisk();
  bool SyncAsyncWrites();
  CollectionInfo InfoOf(const Collection& collection);
  // Calls `write` with the collection, and again if it was replaced before the write's turn came.
  template <class Write>
  absl::StatusOr<WriteResult> WriteTo(const std::string& name, Write write);
  template <class Read>
  std::invoke_result_t<Read, const Collection&> ReadFrom(const std::string& name, Read read);
  Snapshots::Catalog SnapshotCatalog();
  absl::StatusOr<uint32_t> NewCollectionId();
  absl::Status Install(const CatalogRecord& record, bool replace);
  absl::Status CheckRoom(const CollectionMap& collections) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(catalog_mutex_);
  // Whether a new collection may take the name, with `replace` also from the one that has it.
  absl::Status CheckNameFree(const CollectionMap& collections, const std::string& name,
                             bool replace) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(catalog_mutex_);
  absl::Status RecoverFormat();
  absl::Status WriteFormat();
  absl::Status RecoverCollection(Collection& collection) const;
  void Log(const std::string& message) const {
    if (options_.log) options_.log(message);
  }

  std::unique_ptr<Store> store_;
  Executor& executor_;
  const EngineOptions options_;
  const RowFiles row_files_;
  // Replaced whole by the catalog's writers, who hold catalog_mutex_; readers load it.
  std::atomic<std::shared_ptr<const CollectionMap>> collections_;
  Aliases aliases_;  // changed by who holds catalog_mutex_
  absl::Mutex catalog_mutex_;
  uint32_t next_collection_id_ ABSL_GUARDED_BY(catalog_mutex_) = 1;
  bool closed_ ABSL_GUARDED_BY(catalog_mutex_) = false;
  Snapshots snapshots_;
  // Last: their threads end before what they use.
  Operations operations_;
  std::atomic<bool> closing_{false};
  std::atomic<bool> unsynced_{false};  // there are writes that no sync has followed
  Maintenance list_maintenance_;
  Maintenance disk_maintenance_;
  Maintenance sync_;
};

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
  if (aliases_.Find(name).has_value()) {
    return ErrorWithReason(absl::StatusCode::kAlreadyExists, "ALIAS_EXISTS",
                           absl::StrCat(name, " is an alias"));
  }
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

template <class Write>
absl::StatusOr<WriteResult> EngineImpl::WriteTo(const std::string& name, Write write) {
  while (true) {
    ASSIGN_OR_RETURN(const auto collection, Find(name));
    absl::StatusOr<WriteResult> result = write(*collection);
    if (!absl::IsNotFound(result.status()) || !collection->dropped()) return result;
  }
}

// Reads again if the collection was deleted or replaced meanwhile: some of it was gone then.
template <class Read>
std::invoke_result_t<Read, const Collection&> EngineImpl::ReadFrom(const std::string& name,
                                                                   Read read) {
  while (true) {
    ASSIGN_OR_RETURN(const auto collection, Find(name));
    auto result = read(std::as_const(*collection));
    if (!collection->AwaitDrop()) return result;
  }
}

absl::StatusOr<WriteResult> EngineImpl::Upsert(const std::string& collection,
                                               const UpsertBatch& batch) {
  return WriteTo(collection, [&](Collection& found) { return found.Upsert(batch); });
}

absl::StatusOr<WriteResult> EngineImpl::DeletePoints(const std::string& collection,
                                                     const std::vector<PointId>& ids,
                                                     const WriteOptions& options) {
  return WriteTo(collection, [&](Collection& found) { return found.Delete(ids, options); });
}

absl::StatusOr<std::vector<PointData>> EngineImpl::GetPoints(const std::string& collection,
                                                             const std::vector<PointId>& ids,
                                                             const PointFields& fields,
                                                             ElementType* element_type) {
  if (ids.size() > limits::kIdsPerRequestMax) {
    return InvalidField("ids", absl::StrCat("has ", ids.size(), " ids; at most ",
                                            limits::kIdsPerRequestMax, " go into one request"));
  }
  return ReadFrom(collection, [&](const Collection& found) {
    *element_type = found.spec().element_type;
    return found.Get(ids, fields);
  });
}

absl::StatusOr<uint64_t> EngineImpl::CountPoints(const std::string& collection,
                                                 const Filter& filter) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection, [&](const Collection& found) { return found.Count(checked); });
}

absl::StatusOr<ScrollPage> EngineImpl::ScrollPoints(const std::string& collection, size_t page_size,
                                                    const std::string& page_token,
                                                    const Filter& filter, const PointFields& fields,
                                                    ElementType* element_type) {
  RETURN_IF_ERROR(CheckPageSize(page_size));
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection, [&](const Collection& found) {
    *element_type = found.spec().element_type;
    return found.Scroll(page_size, page_token, checked, fields);
  });
}

absl::StatusOr<ScrollPage> EngineImpl::ScrollInOrder(const std::string& collection,
                                                     const ScrollOrder& order, size_t page_size,
                                                     const std::string& page_token,
                                                     const Filter& filter,
                                                     const PointFields& fields,
                                                     ElementType* element_type) {
  RETURN_IF_ERROR(CheckPageSize(page_size));
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection, [&](const Collection& found) {
    *element_type = found.spec().element_type;
    return found.ScrollInOrder(order, page_size, page_token, checked, fields);
  });
}

absl::StatusOr<PointsCount> EngineImpl::EstimatePoints(const std::string& collection,
                                                       const Filter& filter) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection,
                  [&](const Collection& found) { return found.EstimateCount(checked); });
}

absl::StatusOr<WriteResult> EngineImpl::DeleteByFilter(const std::string& collection,
                                                       const Filter& filter,
                                                       const WriteOptions& options) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  if (TestsNothing(checked)) {
    return InvalidField("filter", "is empty; to delete all, delete the collection");
  }
  return WriteTo(collection,
                 [&](Collection& found) { return found.DeleteMatching(checked, options); });
}

absl::StatusOr<WriteResult> EngineImpl::EditPoints(const std::string& collection,
                                                   const std::vector<PointId>& ids,
                                                   const PointEdit& edit,
                                                   const WriteOptions& options) {
  return WriteTo(collection,
                 [&](Collection& found) { return found.EditPoints(ids, edit, options); });
}

absl::StatusOr<WriteResult> EngineImpl::EditByFilter(const std::string& collection,
                                                     const Filter& filter, const PointEdit& edit,
                                                     const WriteOptions& options) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return WriteTo(collection,
                 [&](Collection& found) { return found.EditMatching(checked, edit, options); });
}

absl::StatusOr<WriteResult> EngineImpl::UpdateVectors(const std::string& collection,
                                                      const std::vector<PointId>& ids,
                                                      VectorsView vectors,
                                                      const WriteOptions& options) {
  return WriteTo(collection,
                 [&](Collection& found) { return found.UpdateVectors(ids, vectors, options); });
}

absl::StatusOr<RangeResult> EngineImpl::SearchRange(const RangeRequest& request) {
  RangeRequest checked = request;
  ASSIGN_OR_RETURN(checked.filter, CheckedFilter(request.filter));
  return ReadFrom(request.collection,
                  [&](const Collection& found) { return found.SearchRange(checked); });
}

absl::StatusOr<GroupsResult> EngineImpl::SearchGroups(const GroupsRequest& request) {
  GroupsRequest checked = request;
  ASSIGN_OR_RETURN(checked.search.filter, CheckedFilter(request.search.filter));
  return ReadFrom(request.search.collection,
                  [&](const Collection& found) { return found.SearchGroups(checked); });
}

absl::StatusOr<FacetResult> EngineImpl::Facet(const FacetRequest& request) {
  FacetRequest checked = request;
  ASSIGN_OR_RETURN(checked.filter, CheckedFilter(request.filter));
  return ReadFrom(request.collection,
                  [&](const Collection& found) { return found.Facet(checked); });
}

absl::StatusOr<SearchResult> EngineImpl::Search(const SearchRequest& request) {
  const auto search = [](const SearchRequest& checked) {
    return [&checked](const Collection& found) { return found.Search(checked); };
  };
  if (request.filter.empty()) return ReadFrom(request.collection, search(request));
  SearchRequest checked = request;
  ASSIGN_OR_RETURN(checked.filter, CheckedFilter(request.filter));
  return ReadFrom(request.collection, search(checked));
}

std::vector<absl::StatusOr<SearchResult>> EngineImpl::SearchEach(
    std::span<const SearchRequest> requests) {
  std::vector<absl::StatusOr<SearchResult>> results(requests.size(), absl::UnknownError(""));
  const auto search = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) results[i] = Search(requests[i]);
    return absl::OkStatus();
  };
  ForEachPart(options_.search_executor, requests.size(), kSearchBytes, search).IgnoreError();
  return results;
}

SearchPace EngineImpl::PaceOf(const SearchRequest& request) {
  const auto found = Find(request.collection);
  return found.ok() ? (*found)->PaceOf(request) : SearchPace::kSlow;
}

absl::StatusOr<OperationInfo> EngineImpl::Calibrate(const CalibrateRequest& request) {
  ASSIGN_OR_RETURN(auto found, Find(request.collection));
  ASSIGN_OR_RETURN(Matrix queries, found->CheckCalibrate(request.queries));
  const auto shared = std::make_shared<const Matrix>(std::move(queries));
  return operations_.Start("calibrate", found->spec().name,
                           [found, shared](Operations::Context& operation) {
                             return found->Calibrate(*shared, operation);
                           });
}

absl::StatusOr<OperationInfo> EngineImpl::Train(const TrainRequest& request) {
  ASSIGN_OR_RETURN(auto found, Find(request.collection));
  RETURN_IF_ERROR(found->CheckTrainable(request));
  return operations_.Start("train", found->spec().name,
                           [found, request](Operations::Context& operation) {
                             return found->Train(request, operation);
                           });
}

absl::StatusOr<CodebookInfo> EngineImpl::GetCodebook(const std::string& collection,
                                                     uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->GetCodebook(version);
}

absl::StatusOr<std::vector<CodebookInfo>> EngineImpl::ListCodebooks(const std::string& collection) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->ListCodebooks();
}

absl::StatusOr<OperationInfo> EngineImpl::ActivateCodebook(const std::string& collection,
                                                           uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  RETURN_IF_ERROR(found->CheckActivatable(version));
  return operations_.Start("activate_codebook", found->spec().name,
                           [found, version](Operations::Context& operation) {
                             return found->ActivateCodebook(version, operation);
                           });
}

absl::Status EngineImpl::DeleteCodebook(const std::string& collection, uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->DeleteCodebook(version);
}

absl::StatusOr<CodeRows> EngineImpl::Encode(const std::string& collection, VectorsView vectors) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->Encode(vectors);
}

absl::StatusOr<std::vector<float>> EngineImpl::Decode(const std::string& collection,
                                                      const CodeRows& codes) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->Decode(codes);
}

absl::StatusOr<std::string> EngineImpl::ExportCodebook(const std::string& collection,
                                                       uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->ExportCodebook(version);
}

absl::StatusOr<OperationInfo> EngineImpl::ImportCodebook(const std::string& collection,
                                                         std::string bytes) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  RETURN_IF_ERROR(found->CheckRoomForCodebook());
  ASSIGN_OR_RETURN(auto codebook, found->ParseCodebook(bytes));
  return operations_.Start("import_codebook", found->spec().name,
                           [found, codebook = std::move(codebook)](Operations::Context& operation) {
                             return found->InstallCodebook(codebook, {}, operation);
                           });
}

}  // namespace

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
