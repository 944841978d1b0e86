#ifndef TESSERA_SERVER_STORAGE_STORE_H_
#define TESSERA_SERVER_STORAGE_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera {

// Where a Status carries its reason (absl::Status::SetPayload), for the edges to pass on.
inline constexpr char kErrorReasonUrl[] = "tessera/error.reason";

// The column families of design: what lives in each is said in server/engine/records.h.
enum class Family { kMeta = 0, kCodebooks = 1, kIds = 2, kPoints = 3, kCodes = 4 };
inline constexpr size_t kFamilies = 5;

enum class Durability {
  kSync,   // on disk before Commit returns
  kAsync,  // in the log, on disk with the next sync: lost by a power cut, not by a crash
};

// Mutations that take effect together or not at all. Not thread-safe.
class StoreBatch {
 public:
  virtual ~StoreBatch() = default;
  virtual void Put(Family family, std::string_view key, std::string_view value) = 0;
  virtual void Delete(Family family, std::string_view key) = 0;
  // Deletes the keys in [begin, end).
  virtual void DeleteRange(Family family, std::string_view begin, std::string_view end) = 0;
  virtual size_t bytes() const = 0;
  // Makes room for about so many bytes. Before the first entry.
  virtual void Reserve(size_t bytes) = 0;
};

// Walks keys in byte order, as they are at the moment when it is made. Not thread-safe; must not
// outlive its Store.
class StoreIterator {
 public:
  virtual ~StoreIterator() = default;
  virtual bool Valid() const = 0;
  virtual void Next() = 0;
  virtual void Seek(std::string_view key) = 0;
  // Valid until the next call of Next or Seek.
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  // Not OK if the walk ended because of an error and not of the range's end: always ask.
  virtual absl::Status status() const = 0;
};

struct StoreUsage {
  uint64_t disk_bytes = 0;    // all files
  uint64_t memory_bytes = 0;  // block cache, memtables, table readers
};

// Ordered, durable key-value families. Thread-safe. The one implementation is RocksDB
// (rocksdb_store.h); the engine knows only this.
//
// Errors: DATA_LOSS (damaged bytes, naming the file), RESOURCE_EXHAUSTED (disk full),
// UNAVAILABLE (any other I/O error), FAILED_PRECONDITION with reason STORE_READ_ONLY (a write or
// sync failed before).
class Store {
 public:
  virtual ~Store() = default;

  virtual std::unique_ptr<StoreBatch> NewBatch() = 0;
  // Applies the batch; with kSync it is on disk when this returns OK. Commits of several threads
  // share one sync. After a failed write or sync nothing more is written until a restart.
  virtual absl::Status Commit(StoreBatch& batch, Durability durability) = 0;

  // STORE_READ_ONLY if commits are refused for good: what touches files beside the store asks
  // first, since a commit that failed may be in the log for all that.
  virtual absl::Status CheckWritable() = 0;

  // Puts on disk what was committed with kAsync before.
  virtual absl::Status Sync() = 0;

  // nullopt: there is no such key.
  virtual absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) = 0;
  // values[i] belongs to keys[i]. `values` is resized. Each key is read at some moment of the call,
  // and not all at the same one.
  virtual absl::Status MultiGet(Family family, std::span<const std::string> keys,
                                std::vector<std::optional<std::string>>* values) = 0;

  // Walks [begin, end), positioned at begin; an empty end is the family's end. `bulk` hints that
  // much will be read once: read ahead, fill no cache.
  virtual std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin,
                                              std::string_view end, bool bulk) = 0;

  // An estimate of the bytes on disk of the keys in [begin, end).
  virtual uint64_t ApproximateBytes(Family family, std::string_view begin,
                                    std::string_view end) = 0;
  // How many deletions of keys in [begin, end), or near them, lie on disk beside what they deleted.
  // Those that only the log has yet are left out.
  virtual uint64_t ApproximateDeletions(Family family, std::string_view begin,
                                        std::string_view end) = 0;
  virtual StoreUsage Usage() = 0;

  // Rewrites the files of [begin, end) without what has been deleted or overwritten, beside reads
  // and commits. Takes long; ends soon with CANCELLED once *cancelled is true.
  virtual absl::Status Compact(Family family, std::string_view begin, std::string_view end,
                               std::atomic<bool>* cancelled) = 0;

  // Makes `directory`, whose parent must be there, a copy of the store as it is at one moment
  // during the call: hard links where the file system has them. Commits go on meanwhile. The copy
  // is not synced; OpenCheckpoint reads it.
  virtual absl::Status Checkpoint(const std::string& directory) = 0;
  // A checkpoint as a store that refuses commits. It must not change while it is open.
  virtual absl::StatusOr<std::unique_ptr<Store>> OpenCheckpoint(const std::string& directory) = 0;

  // Compares every table file with its checksum: a DATA_LOSS for each that is damaged. Long.
  virtual std::vector<absl::Status> CheckFiles() = 0;

  // Flushes and closes cleanly. Nothing else may be called afterwards.
  virtual absl::Status Close() = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_STORE_H_
