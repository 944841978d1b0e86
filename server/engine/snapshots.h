#ifndef TESSERA_SERVER_ENGINE_SNAPSHOTS_H_
#define TESSERA_SERVER_ENGINE_SNAPSHOTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/operations.h"
#include "server/engine/records.h"
#include "server/engine/types.h"
#include "server/snapshot/snapshot_directory.h"
#include "server/storage/store.h"

namespace tessera {

struct SnapshotInfo {
  std::string id;
  absl::Status damage;    // not OK: its MANIFEST cannot be read, and nothing else is known
  CollectionSpec spec;    // of the collection
  uint64_t sequence = 0;  // mutations of the collection up to it are in the snapshot
  uint64_t points = 0;
  uint64_t files = 0;
  uint64_t bytes = 0;
  int64_t create_time_ms = 0;  // since the epoch
  std::string creator_version;
  uint32_t format_version = 0;
};

struct RestoreRequest {
  std::string snapshot_id;
  std::string collection;  // empty: the name that the collection had
  bool replace = false;    // a collection of that name, if there is one
};

// Copies of single collections: made, listed, checked, removed and restored. Thread-safe.
//
// A snapshot is a checkpoint of the whole store (hard links), of which one collection's records
// count, and a manifest. Long calls run as operations. Errors: NOT_FOUND for the resource snapshot,
// FAILED_PRECONDITION with reason SNAPSHOTS_DISABLED or SNAPSHOT_IN_USE, and what Store and
// SnapshotDirectory report.
class Snapshots {
 public:
  struct Found {
    uint32_t id;
    std::string name;  // the collection's own, whatever alias led to it
  };
  // What it asks of the engine that it is a part of.
  struct Catalog {
    // NOT_FOUND if there is no such collection.
    std::function<absl::StatusOr<Found>(const std::string& name)> find;
    // An id that no collection has had.
    std::function<absl::StatusOr<uint32_t>()> new_id;
    // Makes a collection whose other records are in the store one that is there, in the place of
    // the one of that name if `replace` says so.
    std::function<absl::Status(const CatalogRecord& record, bool replace)> install;
  };

  Snapshots(Store& store, Operations& operations, Catalog catalog)
      : store_(store), operations_(operations), catalog_(std::move(catalog)) {}

  // Once, before any other call. Without it every call is FAILED_PRECONDITION.
  absl::Status Open(const std::string& path, const std::string& creator_version);

  absl::StatusOr<OperationInfo> Create(const std::string& collection);
  // At most `limit` snapshots in the order of their ids, which is that of time, after `after`.
  absl::StatusOr<std::vector<SnapshotInfo>> List(const std::string& after, size_t limit);
  absl::StatusOr<SnapshotInfo> Get(const std::string& id);
  absl::StatusOr<OperationInfo> Verify(const std::string& id);
  absl::Status Delete(const std::string& id);
  absl::StatusOr<OperationInfo> Restore(const RestoreRequest& request);

 private:
  // Keeps a snapshot from being deleted while an operation reads it.
  class Use;

  absl::Status CheckEnabled() const;
  absl::StatusOr<SnapshotManifest> ReadManifest(const std::string& id) const;
  absl::StatusOr<std::shared_ptr<Use>> StartUse(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RunCreate(const std::string& id, uint32_t collection_id,
                         Operations::Context& operation) const;
  absl::StatusOr<SnapshotManifest> Describe(const std::string& store_path, uint32_t collection_id,
                                            Operations::Context& operation) const;
  absl::Status RunVerify(const std::string& id, const SnapshotManifest& manifest,
                         Operations::Context& operation) const;
  absl::Status RunRestore(const std::string& id, const SnapshotManifest& manifest,
                          const CatalogRecord& record, bool replace,
                          Operations::Context& operation) const;

  Store& store_;
  Operations& operations_;
  const Catalog catalog_;
  std::string creator_version_;
  std::unique_ptr<SnapshotDirectory> directory_;

  absl::Mutex mutex_;
  std::multiset<std::string> used_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_SNAPSHOTS_H_
