#ifndef TESSERA_SERVER_ENGINE_ENGINE_IMPL_H_
#define TESSERA_SERVER_ENGINE_ENGINE_IMPL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "index/base/executor.h"
#include "index/base/status_macros.h"
#include "server/engine/aliases.h"
#include "server/engine/collection.h"
#include "server/engine/engine.h"
#include "server/engine/maintenance.h"
#include "server/engine/operations.h"
#include "server/engine/recall_monitor.h"
#include "server/engine/snapshots.h"
#include "server/storage/row_files.h"
#include "server/storage/store.h"

namespace tessera {

using CollectionMap = std::map<std::string, std::shared_ptr<Collection>>;

// The Engine: finds collections by their names, and has them do what is asked. For engine.cc and
// what lies beside it alone.
class EngineImpl final : public Engine {
 public:
  EngineImpl(std::unique_ptr<Store> store, Executor& executor, const EngineOptions& options);
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
  std::shared_ptr<Collection> NewCollection(const CatalogRecord& record);
  bool MaintainLists();
  bool MaintainDisk();
  bool SyncAsyncWrites();
  CollectionInfo InfoOf(const Collection& collection);
  // Calls `write` with the collection, and again if it was replaced before the write's turn came.
  template <class Write>
  absl::StatusOr<WriteResult> WriteTo(const std::string& name, Write write);
  template <class Read>
  std::invoke_result_t<Read, const CollectionReader&> ReadFrom(const std::string& name, Read read);
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
  std::atomic<bool> unsynced_{false};              // there are writes that no sync has followed
  std::unique_ptr<RecallMonitor> recall_monitor_;  // null: searches are not verified
  Maintenance list_maintenance_;
  Maintenance disk_maintenance_;
  Maintenance sync_;
};

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
std::invoke_result_t<Read, const CollectionReader&> EngineImpl::ReadFrom(const std::string& name,
                                                                         Read read) {
  while (true) {
    ASSIGN_OR_RETURN(const auto collection, Find(name));
    auto result = read(static_cast<const CollectionReader&>(*collection));
    if (!collection->AwaitDrop()) return result;
  }
}

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_ENGINE_IMPL_H_
