#ifndef TESSERA_SERVER_ENGINE_ENGINE_H_
#define TESSERA_SERVER_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "index/base/executor.h"
#include "index/base/limits.h"
#include "server/engine/snapshots.h"
#include "server/engine/types.h"
#include "server/storage/store.h"

namespace tessera {

struct EngineOptions {
  // Told how far recovery has come; may be empty.
  std::function<void(std::string_view message)> log;
  // How often it is told while a collection is read.
  absl::Duration recovery_log_period = absl::Seconds(1);
  // A collection that has not been written to for this long has the space on disk returned that
  // deleted and replaced points took.
  absl::Duration quiet_before_compaction = absl::Seconds(10);
  // A deletion by filter of more points than that leaves their records to be removed afterwards, so
  // many at once: at most kDeletionStepPointsMax.
  size_t deletion_step_points = limits::kDeletionStepPointsMax;
  std::string snapshot_path;  // the folder of the snapshots; empty: there are none
  // The folder of copies of the vectors of collections that keep them on disk, from which searches
  // read them sooner than from the store; empty: there are none. Such a copy goes without more room
  // where less than twice free_disk_bytes_min would be left.
  std::string row_path;
  uint64_t free_disk_bytes_min = 0;
  std::string version;  // of the server, for what it writes
  // Of one core's time, over 0 and at most 1, what verifying a sample of the searches may take; 0:
  // none are.
  double verify_core_share = 0;
  // Whose threads help with searches that take long: of many queries, or of all vectors. Null: each
  // runs in the thread that calls. Must outlive the engine.
  Executor* search_executor = nullptr;
};

// The state machine: collections of points over a Store, and the indexes that search them.
//
// Thread-safe. Calls block (writes until the group commit is on disk, searches until they have
// run): the RPC edge calls from its own pools. Searches take no lock that a
// writer or background work holds. An OK from a write means that the next search finds it, and
// that it is on disk; with Durability::kAsync, that it will be within kAsyncSyncMsMax and a sync.
// Statuses carry the details of errors.h.
class Engine {
 public:
  // Recovers all collections from the store: reads codes, never re-encodes or re-trains.
  // `executor` runs training and encoding; it and the store belong to the caller's lifetime rules:
  // the store is owned, the executor must outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(std::unique_ptr<Store> store,
                                                      Executor& executor,
                                                      const EngineOptions& options);
  // Cancels background work, waits for it, and closes the store.
  virtual ~Engine() = default;
  virtual absl::Status Close() = 0;

  virtual absl::StatusOr<CollectionInfo> CreateCollection(const CollectionSpec& spec) = 0;
  virtual absl::StatusOr<CollectionInfo> GetCollection(const std::string& name) = 0;
  // What of a collection never changes (name, dimension, metric, element type): cheap enough for
  // every request.
  virtual absl::StatusOr<CollectionSpec> DescribeCollection(const std::string& name) = 0;
  // Changes what can change of a collection; operations that run and calls that are under way end
  // with what was so when they began. INVALID_ARGUMENT names the field; FAILED_PRECONDITION if
  // there is an `expected_revision` and the collection has another.
  virtual absl::StatusOr<CollectionInfo> UpdateCollection(
      const std::string& name, const SettingsEdit& edit,
      std::optional<uint64_t> expected_revision) = 0;
  // At most `limit` collections by name, after `after` ("" for the first page).
  virtual std::vector<CollectionInfo> ListCollections(const std::string& after, size_t limit) = 0;
  // FAILED_PRECONDITION if it is not trained. page_size 0 is the default.
  virtual absl::StatusOr<ListStatistics> GetListStatistics(const std::string& name,
                                                           size_t page_size,
                                                           const std::string& page_token) = 0;
  virtual absl::Status DeleteCollection(const std::string& name) = 0;

  // All of the actions at one moment, or none. An alias stands for its collection in every call but
  // CreateCollection and DeleteCollection; it goes with its collection.
  virtual absl::Status UpdateAliases(const std::vector<AliasAction>& actions) = 0;
  // By alias; "" for those of all collections.
  virtual std::vector<AliasAction> ListAliases(const std::string& collection) = 0;
  // Starts the building of an index of one field of the payload. ALREADY_EXISTS if there is one.
  virtual absl::StatusOr<OperationInfo> CreatePayloadIndex(const std::string& collection,
                                                           const PayloadIndexSpec& spec) = 0;
  virtual absl::Status DropPayloadIndex(const std::string& collection, const std::string& key) = 0;

  virtual absl::StatusOr<WriteResult> Upsert(const std::string& collection,
                                             const UpsertBatch& batch) = 0;
  virtual absl::StatusOr<WriteResult> DeletePoints(const std::string& collection,
                                                   const std::vector<PointId>& ids,
                                                   const WriteOptions& options) = 0;
  // As Upsert: all of the points or none, however many. Of those that match when it is called; a
  // point that is written meanwhile stays.
  virtual absl::StatusOr<WriteResult> DeleteByFilter(const std::string& collection,
                                                     const Filter& filter,
                                                     const WriteOptions& options) = 0;
  // Changes those of the points that exist. As Upsert, else.
  virtual absl::StatusOr<WriteResult> EditPoints(const std::string& collection,
                                                 const std::vector<PointId>& ids,
                                                 const PointEdit& edit,
                                                 const WriteOptions& options) = 0;
  // Changes the points that match when they are changed, in steps, each whole or not at all. A
  // point that comes to match meanwhile may stay as it is.
  virtual absl::StatusOr<WriteResult> EditByFilter(const std::string& collection,
                                                   const Filter& filter, const PointEdit& edit,
                                                   const WriteOptions& options) = 0;
  virtual absl::StatusOr<WriteResult> UpdateVectors(const std::string& collection,
                                                    const std::vector<PointId>& ids,
                                                    VectorsView vectors,
                                                    const WriteOptions& options) = 0;
  // The points that exist, in the order of `ids`. *element_type is the collection's.
  virtual absl::StatusOr<std::vector<PointData>> GetPoints(const std::string& collection,
                                                           const std::vector<PointId>& ids,
                                                           const PointFields& fields,
                                                           ElementType* element_type) = 0;
  virtual absl::StatusOr<uint64_t> CountPoints(const std::string& collection,
                                               const Filter& filter) = 0;
  // Counted if that is quick, else estimated.
  virtual absl::StatusOr<PointsCount> EstimatePoints(const std::string& collection,
                                                     const Filter& filter) = 0;
  // page_size 0 is the default. The token is opaque; a damaged one is INVALID_ARGUMENT.
  virtual absl::StatusOr<ScrollPage> ScrollPoints(const std::string& collection, size_t page_size,
                                                  const std::string& page_token,
                                                  const Filter& filter, const PointFields& fields,
                                                  ElementType* element_type) = 0;
  // As ScrollPoints, in another order. FAILED_PRECONDITION if the field has no index that is ready.
  virtual absl::StatusOr<ScrollPage> ScrollInOrder(const std::string& collection,
                                                   const ScrollOrder& order, size_t page_size,
                                                   const std::string& page_token,
                                                   const Filter& filter, const PointFields& fields,
                                                   ElementType* element_type) = 0;
  virtual absl::StatusOr<SearchResult> Search(const SearchRequest& request) = 0;
  // The answers of several searches, in their order, each as Search gives it. They share the
  // threads of the search executor that are idle.
  virtual std::vector<absl::StatusOr<SearchResult>> SearchEach(
      std::span<const SearchRequest> requests) = 0;
  // Every point within a radius, page by page: none that is there all the time is missed or comes
  // twice, whatever else is written between the pages.
  virtual absl::StatusOr<RangeResult> SearchRange(const RangeRequest& request) = 0;
  virtual absl::StatusOr<GroupsResult> SearchGroups(const GroupsRequest& request) = 0;
  virtual absl::StatusOr<FacetResult> Facet(const FacetRequest& request) = 0;
  // kSlow if the search will fail.
  virtual SearchPace PaceOf(const SearchRequest& request) = 0;

  // Measures what searches of a trained collection find, by how deep they go.
  virtual absl::StatusOr<OperationInfo> Calibrate(const CalibrateRequest& request) = 0;
  virtual absl::StatusOr<OperationInfo> Train(const TrainRequest& request) = 0;
  virtual absl::StatusOr<CodebookInfo> GetCodebook(const std::string& collection,
                                                   uint32_t version) = 0;
  virtual absl::StatusOr<std::vector<CodebookInfo>> ListCodebooks(
      const std::string& collection) = 0;
  // Encodes the points with a version that is kept and switches to it: forward, or back.
  virtual absl::StatusOr<OperationInfo> ActivateCodebook(const std::string& collection,
                                                         uint32_t version) = 0;
  // FAILED_PRECONDITION for the current version.
  virtual absl::Status DeleteCodebook(const std::string& collection, uint32_t version) = 0;
  virtual absl::StatusOr<CodeRows> Encode(const std::string& collection, VectorsView vectors) = 0;
  // Rows of floats, one per code.
  virtual absl::StatusOr<std::vector<float>> Decode(const std::string& collection,
                                                    const CodeRows& codes) = 0;
  virtual absl::StatusOr<std::string> ExportCodebook(const std::string& collection,
                                                     uint32_t version) = 0;
  virtual absl::StatusOr<OperationInfo> ImportCodebook(const std::string& collection,
                                                       std::string bytes) = 0;

  virtual Snapshots& snapshots() = 0;

  virtual absl::StatusOr<OperationInfo> GetOperation(const std::string& id) = 0;
  // Newest first; "" for all collections.
  virtual std::vector<OperationInfo> ListOperations(const std::string& collection) = 0;
  // Returns once the operation's revision is above `after_revision`, or at the time-out with
  // what it is then.
  virtual absl::StatusOr<OperationInfo> AwaitOperation(const std::string& id,
                                                       uint64_t after_revision,
                                                       absl::Duration timeout) = 0;
  virtual absl::StatusOr<OperationInfo> CancelOperation(const std::string& id) = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_ENGINE_H_
