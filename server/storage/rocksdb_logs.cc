#include "server/storage/rocksdb_logs.h"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace tessera {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSDirectoryWrapper;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

void LogWatch::Add(const std::shared_ptr<Log>& log) {
  absl::MutexLock lock(&mutex_);
  for (const auto& older : logs_) older->newest.store(false);
  logs_.push_back(log);
  ++entries_;
}

void LogWatch::Remove(const Log* log) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(logs_, [&](const auto& held) { return held.get() == log; });
}

bool LogWatch::has_log() const {
  absl::MutexLock lock(&mutex_);
  return !logs_.empty();
}

IOStatus LogWatch::error() const {
  absl::MutexLock lock(&mutex_);
  return error_;
}

IOStatus LogWatch::Note(IOStatus status) {
  if (status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  if (error_.ok()) error_ = status;
  failed_.store(true, std::memory_order_release);
  return status;
}

template <class Operation>
IOStatus LogWatch::SyncLog(Log& log, Operation sync) {
  absl::MutexLock lock(&log.syncing);
  // RocksDB closes a log that is synced.
  if (log.closed) return IOStatus::OK();
  if (failed()) return error();
  return Note(sync(*log.file));
}

IOStatus LogWatch::Sync() {
  std::vector<std::shared_ptr<Log>> logs;
  FSDirectory* directory = nullptr;  // null: all entries are there
  uint64_t entries = 0;
  {
    absl::MutexLock lock(&mutex_);
    logs = logs_;
    entries = entries_;
    if (entries_synced_ < entries) directory = directory_.get();
  }
  for (const auto& log : logs) {
    IOStatus status =
        SyncLog(*log, [](FSWritableFile& file) { return file.Sync(IOOptions(), nullptr); });
    if (!status.ok()) return status;
  }
  if (failed()) return error();
  if (directory == nullptr) return IOStatus::OK();
  IOStatus status = Note(directory->FsyncWithDirOptions(
      IOOptions(), nullptr,
      rocksdb::DirFsyncOptions(rocksdb::DirFsyncOptions::FsyncReason::kNewFileSynced)));
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  entries_synced_ = std::max(entries_synced_, entries);
  return status;
}

class LogFile final : public FSWritableFileWrapper {
 public:
  LogFile(std::shared_ptr<LogWatch::Log> log, std::shared_ptr<LogWatch> watch)
      : FSWritableFileWrapper(log->file.get()), log_(std::move(log)), watch_(std::move(watch)) {}
  ~LogFile() override {
    watch_->Remove(log_.get());
    absl::MutexLock lock(&log_->syncing);
    log_->closed = true;
  }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (watch_->failed()) return watch_->error();
    return watch_->Note(FSWritableFileWrapper::Append(data, options, debug));
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    if (watch_->failed()) return watch_->error();
    return watch_->Note(FSWritableFileWrapper::Append(data, options, info, debug));
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    return ToldIfNewest(
        watch_->Note(FSWritableFileWrapper::RangeSync(offset, bytes, options, debug)));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return ToldIfNewest(
        watch_->SyncLog(*log_, [&](FSWritableFile& file) { return file.Sync(options, debug); }));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return ToldIfNewest(
        watch_->SyncLog(*log_, [&](FSWritableFile& file) { return file.Fsync(options, debug); }));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    absl::MutexLock lock(&log_->syncing);
    log_->closed = true;
    return FSWritableFileWrapper::Close(options, debug);
  }
  // It is, but SyncWAL would look for an error that another thread may have met.
  bool IsSyncThreadSafe() const override { return false; }

 private:
  IOStatus ToldIfNewest(IOStatus status) {
    if (status.ok() || log_->newest.load()) return status;
    watch_->silent_.store(true);
    return IOStatus::OK();
  }

  const std::shared_ptr<LogWatch::Log> log_;
  const std::shared_ptr<LogWatch> watch_;
};

// In the place of a log that could not be made.
class NoLog final : public FSWritableFile {
 public:
  using FSWritableFile::Append;

  explicit NoLog(IOStatus error) : error_(std::move(error)) {}

  IOStatus Append(const Slice&, const IOOptions&, IODebugContext*) override { return error_; }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return error_; }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const IOStatus error_;
};

class LogDirectory final : public FSDirectoryWrapper {
 public:
  LogDirectory(std::unique_ptr<FSDirectory> directory, std::shared_ptr<LogWatch> watch)
      : FSDirectoryWrapper(std::move(directory)), watch_(std::move(watch)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    if (watch_->silent_.load()) return watch_->error();
    return FSDirectoryWrapper::Fsync(options, debug);
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& what) override {
    if (watch_->silent_.load()) return watch_->error();
    return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, what);
  }

 private:
  const std::shared_ptr<LogWatch> watch_;
};

class LogFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  LogFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base, const std::string& root,
                std::shared_ptr<LogWatch> watch)
      : FileSystemWrapper(base), root_(Normal(root)), watch_(std::move(watch)) {}

  const char* Name() const override { return "TesseraLogs"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    // The copies of logs in a checkpoint lie elsewhere.
    const std::filesystem::path path = Normal(name);
    if (path.extension() != ".log" || path.parent_path() != root_) {
      return FileSystemWrapper::NewWritableFile(name, options, result, debug);
    }
    // A recovery takes the missing end of a log for its end and replays the next one. So what is in
    // the older logs has to be on disk before anything comes into a newer one. If it cannot be, or
    // there can be none, the first write to that one says so: told here, RocksDB would keep
    // references to the families that it meant to flush, and end the process when it is closed.
    watch_->Sync().PermitUncheckedError();
    IOStatus status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (!status.ok() && watch_->has_log()) {
      *result = std::make_unique<NoLog>(watch_->Note(status));
      status = IOStatus::OK();
    }
    if (status.ok()) status = OpenDirectory(debug);
    if (!status.ok()) return status;
    const auto log = std::make_shared<LogWatch::Log>(std::move(*result));
    watch_->Add(log);
    *result = std::make_unique<LogFile>(log, watch_);
    return status;
  }

  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* result, IODebugContext* debug) override {
    const IOStatus status = FileSystemWrapper::NewDirectory(name, options, result, debug);
    if (status.ok() && Normal(name) == root_) {
      *result = std::make_unique<LogDirectory>(std::move(*result), watch_);
    }
    return status;
  }

 private:
  static std::filesystem::path Normal(const std::string& name) {
    const std::filesystem::path path = std::filesystem::path(name).lexically_normal();
    return path.has_filename() ? path : path.parent_path();
  }

  IOStatus OpenDirectory(IODebugContext* debug) {
    absl::MutexLock lock(&watch_->mutex_);
    if (watch_->directory_ != nullptr) return IOStatus::OK();
    return FileSystemWrapper::NewDirectory(root_, IOOptions(), &watch_->directory_, debug);
  }

  const std::filesystem::path root_;
  const std::shared_ptr<LogWatch> watch_;
};

std::shared_ptr<rocksdb::FileSystem> WatchLogs(const std::shared_ptr<rocksdb::FileSystem>& base,
                                               const std::string& root,
                                               std::shared_ptr<LogWatch> watch) {
  return std::make_shared<LogFileSystem>(base, root, std::move(watch));
}

}  // namespace tessera
