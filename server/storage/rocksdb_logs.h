#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_LOGS_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_LOGS_H_

#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tessera {

// The write-ahead logs that RocksDB has open, and whether one of them has failed. Thread-safe.
//
// The distribution builds RocksDB with its assertions on, and one of them ends the process when a
// log is written or synced after an error of it, unless that error came from SyncWAL
// (WritableFileWriter, 7.8). A writer finds the error of another one: they take turns, and the
// database counts as stopped before the next has its turn. Nobody else must therefore see or leave
// an error in a log:
//
// - SyncWAL, which checkpoints call as well, is not supported by the files that WatchLogs makes.
//   RocksDB takes that for an answer in a checkpoint, and the store syncs with Sync instead.
// - A log that is not the newest one any more is synced by the thread of a flush and by the next
//   synced write, and either one may wait for the other. Such a log tells RocksDB of no error: what
//   both of them sync next does, the directory here and the newest log there.
// - RocksDB begins a log in the middle of its work on the families that it is about to flush, and
//   loses count of those that are left if it is told of an error then. The new log tells of it.
class LogWatch {
 public:
  // Whether a log, or the directory's entry of one, could not be written or synced. What the logs
  // hold is not known from then on: every later write and sync of one fails.
  bool failed() const { return failed_.load(std::memory_order_acquire); }

  // Puts on disk whatever has been written to the logs, beside writes that go on.
  rocksdb::IOStatus Sync() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class LogFile;
  friend class LogDirectory;
  friend class LogFileSystem;

  struct Log {
    explicit Log(std::unique_ptr<rocksdb::FSWritableFile> opened) : file(std::move(opened)) {}

    const std::unique_ptr<rocksdb::FSWritableFile> file;
    std::atomic<bool> newest{true};
    // Held by a sync, so that one after a sync that failed finds it out: the kernel tells of a page
    // that it could not write only once. And by the end of the file.
    absl::Mutex syncing;
    bool closed ABSL_GUARDED_BY(syncing) = false;
  };

  void Add(const std::shared_ptr<Log>& log) ABSL_LOCKS_EXCLUDED(mutex_);
  void Remove(const Log* log) ABSL_LOCKS_EXCLUDED(mutex_);
  bool has_log() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The error of the first failure.
  rocksdb::IOStatus error() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Remembers an error, and returns what it was given.
  rocksdb::IOStatus Note(rocksdb::IOStatus status) ABSL_LOCKS_EXCLUDED(mutex_);
  template <class Operation>
  rocksdb::IOStatus SyncLog(Log& log, Operation sync) ABSL_LOCKS_EXCLUDED(mutex_);

  std::atomic<bool> failed_{false};
  std::atomic<bool> silent_{false};  // an error that RocksDB has not been told of
  mutable absl::Mutex mutex_;
  rocksdb::IOStatus error_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Log>> logs_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rocksdb::FSDirectory> directory_ ABSL_GUARDED_BY(mutex_);
  uint64_t entries_ ABSL_GUARDED_BY(mutex_) = 0;  // of logs, ever made
  uint64_t entries_synced_ ABSL_GUARDED_BY(mutex_) = 0;
};

// `base`, with the logs in the directory `root` under `watch`.
std::shared_ptr<rocksdb::FileSystem> WatchLogs(const std::shared_ptr<rocksdb::FileSystem>& base,
                                               const std::string& root,
                                               std::shared_ptr<LogWatch> watch);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_LOGS_H_
