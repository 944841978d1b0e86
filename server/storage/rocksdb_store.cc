#include "server/storage/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/table_properties.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "index/base/check.h"
#include "index/base/status_macros.h"
#include "server/storage/high_water.h"
#include "server/storage/rocksdb_batch.h"
#include "server/storage/rocksdb_files.h"
#include "server/storage/rocksdb_flushes.h"
#include "server/storage/rocksdb_iterator.h"
#include "server/storage/rocksdb_logs.h"
#include "server/storage/rocksdb_options.h"
#include "server/storage/rocksdb_status.h"
#include "server/storage/rocksdb_store_env.h"
#include "server/storage/store_error.h"
#include "server/storage/store_files.h"

namespace tessera {
namespace {

constexpr char kHighWaterFile[] = "HIGH_WATER";
// A new manifest and what else an open writes; besides, the logs are flushed into tables.
constexpr uint64_t kOpenBytes = uint64_t{1} << 20;
// Of what other writes leave free, deletions leave so many times less.
constexpr uint64_t kKeptFromDeletions = 4;
constexpr size_t kMultiGetChunk = 1'024;
// What the operator of a damaged store can do (README.md, "A store that is refused").
constexpr char kRemedies[] =
    ". To have everything back, put the whole folder back from a copy, or the folder \"store\" of "
    "a "
    "snapshot in its place";
// Of a checkpoint: it is walked once, from end to end.
constexpr size_t kCheckpointCacheBytes = size_t{8} << 20;

class RocksDbStore final : public Store {
 public:
  static absl::StatusOr<std::unique_ptr<Store>> Open(const RocksDbOptions& options,
                                                     rocksdb::Env* env);
  static absl::StatusOr<std::unique_ptr<Store>> OpenReadOnly(const RocksDbOptions& options,
                                                             bool lock);
  ~RocksDbStore() override { Shutdown().IgnoreError(); }

  std::unique_ptr<StoreBatch> NewBatch() override {
    return std::make_unique<RocksDbBatch>(families_);
  }
  absl::Status Commit(StoreBatch& batch, Durability durability) override;
  absl::Status CheckWritable() override {
    return read_only() ? ReadOnlyStatus() : absl::OkStatus();
  }
  absl::Status Sync() override;
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) override;
  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override;
  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      bool bulk) override;
  uint64_t ApproximateBytes(Family family, std::string_view begin, std::string_view end) override;
  uint64_t ApproximateDeletions(Family family, std::string_view begin,
                                std::string_view end) override;
  StoreUsage Usage() override;
  absl::Status Compact(Family family, std::string_view begin, std::string_view end,
                       std::atomic<bool>* cancelled) override;
  absl::Status Checkpoint(const std::string& directory) override;
  absl::StatusOr<std::unique_ptr<Store>> OpenCheckpoint(const std::string& directory) override;
  std::vector<absl::Status> CheckFiles() override { return CheckTables(*db_, root_); }
  absl::Status Close() override;

 private:
  RocksDbStore(const RocksDbOptions& options, size_t free_disk_bytes_min)
      : root_(options.path), free_disk_bytes_min_(free_disk_bytes_min), log_(options.log) {}

  absl::Status OpenDb(const RocksDbOptions& options, rocksdb::Env* env);
  absl::Status OpenDbReadOnly(const RocksDbOptions& options);
  void Adopt(rocksdb::DB* db, const std::vector<rocksdb::ColumnFamilyHandle*>& handles);
  void MakeCache(size_t bytes);
  absl::Status Lock();
  absl::Status CheckMark(uint64_t mark, const std::string& logs) const;
  absl::Status WriteBatch(RocksDbBatch& batch, Durability durability);
  // Not RocksDB's SyncWAL: rocksdb_logs.h has the reason.
  absl::Status SyncLogs() { return Map(logs_->Sync(), "sync the log"); }
  absl::Status MultiGetChunk(Family family, const rocksdb::ReadOptions& options,
                             std::span<const std::string> keys,
                             std::span<std::optional<std::string>> values);
  absl::Status Flush();
  // Releases everything; harmless when called twice.
  absl::Status Shutdown();

  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return families_[static_cast<size_t>(family)];
  }
  absl::Status Map(const rocksdb::Status& status, std::string_view what) const {
    return MapRocksDbStatus(status, what, root_);
  }
  std::string HighWaterPath() const { return root_ + "/" + kHighWaterFile; }
  void AwaitFlush() {
    flushes_->Await(*db_, families_, [this] { return read_only(); });
  }
  bool read_only() const { return read_only_.load(std::memory_order_acquire); }
  absl::Status ReadOnlyStatus() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return StoreReadOnly(read_only_cause_);
  }
  // Remembers the first failed write and returns it.
  absl::Status BecomeReadOnly(absl::Status cause) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string root_;
  const size_t free_disk_bytes_min_;
  const std::function<void(std::string_view)> log_;
  const std::shared_ptr<FlushWatch> flushes_ = std::make_shared<FlushWatch>();
  const std::shared_ptr<LogWatch> logs_ = std::make_shared<LogWatch>();
  std::unique_ptr<rocksdb::Env> env_;  // outlives db_
  std::shared_ptr<rocksdb::Cache> cache_;
  std::unique_ptr<rocksdb::DB> db_;
  FamilyHandles families_{};
  rocksdb::ColumnFamilyHandle* default_family_ = nullptr;
  std::unique_ptr<HighWater> high_water_;  // null: opened read-only
  rocksdb::FileLock* lock_ = nullptr;      // held by us and not by RocksDB

  std::atomic<bool> read_only_{false};
  absl::Mutex mutex_;
  absl::Status read_only_cause_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<Store>> RocksDbStore::Open(const RocksDbOptions& options,
                                                          rocksdb::Env* env) {
  RETURN_IF_ERROR(MakeStoreDirectory(options.path));
  RETURN_IF_ERROR(CheckCurrentFile(options.path));
  RETURN_IF_ERROR(CheckFreeBytes(options.path, kOpenBytes + LogBytes(options.path), "open"));
  std::unique_ptr<RocksDbStore> store(new RocksDbStore(options, options.free_disk_bytes_min));
  // Asked first: opening makes a table of what a log holds, and removes the log.
  const std::string logs = LogsWithContent(options.path);
  RETURN_IF_ERROR(store->OpenDb(options, env));
  ASSIGN_OR_RETURN(store->high_water_, HighWater::Open(store->HighWaterPath()));
  RETURN_IF_ERROR(store->CheckMark(store->high_water_->mark(), logs));
  return std::unique_ptr<Store>(std::move(store));
}

absl::StatusOr<std::unique_ptr<Store>> RocksDbStore::OpenReadOnly(const RocksDbOptions& options,
                                                                  bool lock) {
  std::unique_ptr<RocksDbStore> store(new RocksDbStore(options, 0));
  if (lock) RETURN_IF_ERROR(store->Lock());
  RETURN_IF_ERROR(CheckCurrentFile(options.path));
  RETURN_IF_ERROR(store->OpenDbReadOnly(options));
  ASSIGN_OR_RETURN(const uint64_t mark, HighWater::Read(store->HighWaterPath()));
  RETURN_IF_ERROR(store->CheckMark(mark, LogsWithContent(options.path)));
  store->BecomeReadOnly(absl::FailedPreconditionError("it was opened for reading only"))
      .IgnoreError();
  return std::unique_ptr<Store>(std::move(store));
}

// Reading leaves no trace: a snapshot, whose store has no lock, would be damaged by one.
absl::Status RocksDbStore::Lock() {
  const std::string path = root_ + "/LOCK";
  const bool nobody_writes =
      access(path.c_str(), F_OK) != 0 || (access(path.c_str(), W_OK) != 0 && errno == EROFS);
  if (nobody_writes) return absl::OkStatus();
  return Map(rocksdb::Env::Default()->LockFile(path, &lock_), "lock");
}

void RocksDbStore::MakeCache(size_t bytes) {
  rocksdb::LRUCacheOptions cache;
  cache.capacity = bytes;
  cache.high_pri_pool_ratio = 0.5;
  cache_ = rocksdb::NewLRUCache(cache);
}

void RocksDbStore::Adopt(rocksdb::DB* db,
                         const std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
  db_.reset(db);
  TESSERA_CHECK(handles.size() == kFamilies + 1);
  std::copy_n(handles.begin(), kFamilies, families_.begin());
  default_family_ = handles.back();
}

absl::Status RocksDbStore::OpenDb(const RocksDbOptions& options, rocksdb::Env* env) {
  MakeCache(options.block_cache_bytes);
  rocksdb::DBOptions db_options = MakeDbOptions(options);
  env_ = rocksdb::NewCompositeEnv(WatchLogs(env->GetFileSystem(), root_, logs_));
  db_options.env = env_.get();
  // In a store that has been written to, a family that is missing was lost with the manifest's end;
  // made anew, it would be empty.
  ASSIGN_OR_RETURN(const uint64_t mark, HighWater::Read(HighWaterPath()));
  db_options.create_missing_column_families = mark == 0;
  db_options.listeners.push_back(flushes_);

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const absl::Status status = Map(
      rocksdb::DB::Open(db_options, root_, MakeFamilyDescriptors(options, cache_), &handles, &db),
      "open");
  if (absl::IsDataLoss(status)) return NameDamagedFiles(status, root_);
  RETURN_IF_ERROR(status);
  Adopt(db, handles);
  return absl::OkStatus();
}

absl::Status RocksDbStore::OpenDbReadOnly(const RocksDbOptions& options) {
  MakeCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const absl::Status status =
      Map(rocksdb::DB::OpenForReadOnly(MakeDbOptions(options), root_,
                                       MakeFamilyDescriptors(options, cache_), &handles, &db),
          "open");
  if (absl::IsDataLoss(status)) return NameDamagedFiles(status, root_);
  RETURN_IF_ERROR(status);
  Adopt(db, handles);
  return absl::OkStatus();
}

absl::Status RocksDbStore::CheckMark(uint64_t mark, const std::string& logs) const {
  const uint64_t recovered = db_->GetLatestSequenceNumber();
  if (recovered >= mark) return absl::OkStatus();
  return StoreError(
      absl::StatusCode::kDataLoss, "STORE_DAMAGED",
      absl::StrCat("open: the log (", logs.empty() ? "no file of it is left" : logs,
                   ") ends at write ", recovered, ", but ", kHighWaterFile, " says that write ",
                   mark, " was acknowledged. To go on without the writes that are missing, remove ",
                   kHighWaterFile));
}

absl::Status RocksDbStore::Commit(StoreBatch& batch, Durability durability) {
  if (read_only()) return ReadOnlyStatus();
  auto& rocksdb_batch = static_cast<RocksDbBatch&>(batch);
  // Up to here nothing has been touched, and the store stays writable.
  RETURN_IF_ERROR(Map(rocksdb_batch.status(), "build a batch"));
  if (free_disk_bytes_min_ > 0) {
    // What makes room may have some of what is kept free.
    const uint64_t kept = rocksdb_batch.only_deletes() ? free_disk_bytes_min_ / kKeptFromDeletions
                                                       : free_disk_bytes_min_;
    RETURN_IF_ERROR(CheckFreeBytes(root_, kept + rocksdb_batch.bytes(), "commit"));
  }
  absl::Status status = WriteBatch(rocksdb_batch, durability);
  return status.ok() ? status : BecomeReadOnly(std::move(status));
}

absl::Status RocksDbStore::WriteBatch(RocksDbBatch& batch, Durability durability) {
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSync;
  options.protection_bytes_per_key = 8;
  // Every entry takes one number. Those below this batch's come before it in the log, so that its
  // sync covers them as well.
  AwaitFlush();
  const uint64_t mark = db_->GetLatestSequenceNumber() + batch.batch().Count();
  RETURN_IF_ERROR(Map(db_->Write(options, &batch.batch()), "commit"));
  return options.sync ? high_water_->Raise(mark) : absl::OkStatus();
}

absl::Status RocksDbStore::Sync() {
  if (read_only()) return ReadOnlyStatus();
  const uint64_t mark = db_->GetLatestSequenceNumber();
  absl::Status status = SyncLogs();
  if (status.ok()) status = high_water_->Raise(mark);
  return status.ok() ? status : BecomeReadOnly(std::move(status));
}

absl::Status RocksDbStore::BecomeReadOnly(absl::Status cause) {
  absl::MutexLock lock(&mutex_);
  if (!read_only()) {
    read_only_cause_ = cause;
    read_only_.store(true, std::memory_order_release);
  }
  return cause;
}

absl::StatusOr<std::optional<std::string>> RocksDbStore::Get(Family family, std::string_view key) {
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), handle(family), ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(Map(status, absl::StrCat("read family ", FamilyName(family))));
  return std::optional<std::string>(std::move(value));
}

absl::Status RocksDbStore::MultiGet(Family family, std::span<const std::string> keys,
                                    std::vector<std::optional<std::string>>* values) {
  values->resize(keys.size());
  // No snapshot that would make all chunks of one moment: README.md, "Settings", has the reason.
  const rocksdb::ReadOptions options;
  for (size_t begin = 0; begin < keys.size(); begin += kMultiGetChunk) {
    const size_t count = std::min(kMultiGetChunk, keys.size() - begin);
    RETURN_IF_ERROR(MultiGetChunk(family, options, keys.subspan(begin, count),
                                  std::span(*values).subspan(begin, count)));
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::MultiGetChunk(Family family, const rocksdb::ReadOptions& options,
                                         std::span<const std::string> keys,
                                         std::span<std::optional<std::string>> values) {
  const size_t count = keys.size();
  std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  // Pinned: blocks of the cache are referred to and not copied.
  std::vector<rocksdb::PinnableSlice> pinned(count);
  std::vector<rocksdb::Status> statuses(count);
  db_->MultiGet(options, handle(family), count, slices.data(), pinned.data(), statuses.data());
  for (size_t i = 0; i < count; ++i) {
    if (statuses[i].IsNotFound()) {
      values[i].reset();
      continue;
    }
    RETURN_IF_ERROR(Map(statuses[i], absl::StrCat("read family ", FamilyName(family))));
    if (!values[i].has_value()) values[i].emplace();
    values[i]->assign(pinned[i].data(), pinned[i].size());
  }
  return absl::OkStatus();
}

std::unique_ptr<StoreIterator> RocksDbStore::Scan(Family family, std::string_view begin,
                                                  std::string_view end, bool bulk) {
  return std::make_unique<RocksDbIterator>(*db_, handle(family), RocksDbIterator::Range{begin, end},
                                           bulk, root_);
}

uint64_t RocksDbStore::ApproximateBytes(Family family, std::string_view begin,
                                        std::string_view end) {
  rocksdb::SizeApproximationOptions options;
  options.include_files = true;
  options.include_memtables = true;  // these bytes are on disk in the log
  const rocksdb::Range range(ToSlice(begin), ToSlice(end));
  uint64_t bytes = 0;
  const rocksdb::Status status =
      db_->GetApproximateSizes(options, handle(family), &range, 1, &bytes);
  return status.ok() ? bytes : 0;
}

uint64_t RocksDbStore::ApproximateDeletions(Family family, std::string_view begin,
                                            std::string_view end) {
  const rocksdb::Range range(ToSlice(begin), ToSlice(end));
  rocksdb::TablePropertiesCollection tables;
  const rocksdb::Status status =
      db_->GetPropertiesOfTablesInRange(handle(family), &range, 1, &tables);
  uint64_t deletions = 0;
  if (!status.ok()) return deletions;
  for (const auto& [name, properties] : tables) deletions += properties->num_deletions;
  return deletions;
}

StoreUsage RocksDbStore::Usage() {
  StoreUsage usage;
  usage.disk_bytes = DirectoryBytes(root_);
  usage.memory_bytes = cache_->GetUsage();
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    for (const std::string& property : {rocksdb::DB::Properties::kSizeAllMemTables,
                                        rocksdb::DB::Properties::kEstimateTableReadersMem}) {
      uint64_t bytes = 0;
      if (db_->GetIntProperty(family, property, &bytes)) usage.memory_bytes += bytes;
    }
  }
  return usage;
}

absl::Status RocksDbStore::Compact(Family family, std::string_view begin, std::string_view end,
                                   std::atomic<bool>* cancelled) {
  if (read_only()) return ReadOnlyStatus();
  AwaitFlush();
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  options.canceled = cancelled;
  const rocksdb::Slice first = ToSlice(begin), last = ToSlice(end);
  const rocksdb::Status status = db_->CompactRange(options, handle(family), &first, &last);
  if (cancelled->load()) return absl::CancelledError("the compaction was cancelled");
  return Map(status, absl::StrCat("compact family ", FamilyName(family)));
}

absl::Status RocksDbStore::Checkpoint(const std::string& directory) {
  if (read_only()) return ReadOnlyStatus();
  if (free_disk_bytes_min_ > 0) {
    RETURN_IF_ERROR(CheckFreeBytes(root_, free_disk_bytes_min_ + LogBytes(root_), "checkpoint"));
  }
  AwaitFlush();
  absl::Status status = MakeCheckpoint(*db_, directory, root_);
  // Logs that are not the newest are linked, and may not have been synced.
  if (status.ok()) status = SyncLogs();
  const bool failed = flushes_->failed() || logs_->failed();
  return !status.ok() && failed ? BecomeReadOnly(std::move(status)) : status;
}

absl::StatusOr<std::unique_ptr<Store>> RocksDbStore::OpenCheckpoint(const std::string& directory) {
  return OpenRocksDbStoreReadOnly(
      {.path = directory, .block_cache_bytes = kCheckpointCacheBytes, .log = log_},
      /*lock=*/false);
}

absl::Status RocksDbStore::Flush() {
  // After a failed write nothing more is written.
  if (read_only()) return absl::OkStatus();
  AwaitFlush();
  const std::vector<rocksdb::ColumnFamilyHandle*> families(families_.begin(), families_.end());
  RETURN_IF_ERROR(Map(db_->Flush(rocksdb::FlushOptions(), families), "flush"));
  RETURN_IF_ERROR(SyncLogs());
  return high_water_->Sync();
}

absl::Status RocksDbStore::Close() {
  const absl::Status flushed = Flush();
  const absl::Status closed = Shutdown();
  return flushed.ok() ? closed : flushed;
}

absl::Status RocksDbStore::Shutdown() {
  absl::Status status;
  if (db_ != nullptr) {
    rocksdb::CancelAllBackgroundWork(db_.get(), /*wait=*/true);
    for (rocksdb::ColumnFamilyHandle*& family : families_) {
      db_->DestroyColumnFamilyHandle(std::exchange(family, nullptr)).PermitUncheckedError();
    }
    db_->DestroyColumnFamilyHandle(std::exchange(default_family_, nullptr)).PermitUncheckedError();
    status = Map(db_->Close(), "close");
    db_.reset();
  }
  if (lock_ != nullptr) {
    rocksdb::Env::Default()->UnlockFile(std::exchange(lock_, nullptr)).PermitUncheckedError();
  }
  return status;
}

// RocksDB throws nothing of its own, but starting its threads can.
template <class Open>
absl::StatusOr<std::unique_ptr<Store>> Guarded(const RocksDbOptions& options, Open open) {
  try {
    return open();
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("open ", options.path, ": ", error.what()));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options) {
  return OpenRocksDbStoreOn(options, rocksdb::Env::Default());
}

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStoreOn(const RocksDbOptions& options,
                                                          rocksdb::Env* env) {
  auto store = Guarded(options, [&] { return RocksDbStore::Open(options, env); });
  if (!absl::IsDataLoss(store.status())) return store;
  return StoreError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                    absl::StrCat(store.status().message(), kRemedies));
}

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStoreReadOnly(const RocksDbOptions& options,
                                                                bool lock) {
  return Guarded(options, [&] { return RocksDbStore::OpenReadOnly(options, lock); });
}

}  // namespace tessera
