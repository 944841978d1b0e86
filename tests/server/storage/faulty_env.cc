#include "tests/server/storage/faulty_env.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <utility>

namespace tessera {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSDirectoryWrapper;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

bool ReadWholeFile(const std::string& name, std::string* content) {
  std::ifstream file(name, std::ios::binary);
  if (!file) return false;
  content->assign(std::istreambuf_iterator<char>(file), {});
  return true;
}

class FaultyFile final : public FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<FSWritableFile> file, std::string name, FaultState& state)
      : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)), state_(state) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.writes_half()) WriteHalf(data, options, debug);
    if (turn.fails()) return turn.error();
    return Appended(data.size(), FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.writes_half()) WriteHalf(data, options, debug);
    if (turn.fails()) return turn.error();
    return Appended(data.size(), FSWritableFileOwnerWrapper::Append(data, options, info, debug));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    return Synced(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    return Synced(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }

 private:
  IOStatus Appended(size_t bytes, IOStatus status) {
    if (status.ok()) state_.files()[name_].size += bytes;
    return status;
  }
  void WriteHalf(const Slice& data, const IOOptions& options, IODebugContext* debug) {
    const Slice half(data.data(), data.size() / 2);
    Appended(half.size(), FSWritableFileOwnerWrapper::Append(half, options, debug))
        .PermitUncheckedError();
  }
  IOStatus Synced(IOStatus status) {
    FaultState::File& file = state_.files()[name_];
    if (status.ok()) file.synced_size = file.size;
    return status;
  }

  const std::string name_;
  FaultState& state_;
};

class FaultyReads final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyReads(std::unique_ptr<rocksdb::FSRandomAccessFile> file, FaultState& state)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), state_(state) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* debug) const override {
    if (state_.ReadFails()) return IOStatus::IOError("injected fault");
    return FSRandomAccessFileOwnerWrapper::Read(offset, size, options, result, scratch, debug);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    for (size_t i = 0; i < count; ++i) {
      rocksdb::FSReadRequest& request = requests[i];
      request.status =
          Read(request.offset, request.len, options, &request.result, request.scratch, debug);
    }
    return IOStatus::OK();
  }

 private:
  FaultState& state_;
};

class FaultySequentialReads final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  FaultySequentialReads(std::unique_ptr<rocksdb::FSSequentialFile> file, FaultState& state)
      : FSSequentialFileOwnerWrapper(std::move(file)), state_(state) {}

  IOStatus Read(size_t size, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) override {
    if (state_.ReadFails()) return IOStatus::IOError("injected fault");
    return FSSequentialFileOwnerWrapper::Read(size, options, result, scratch, debug);
  }

 private:
  FaultState& state_;
};

class FaultyDirectory final : public FSDirectoryWrapper {
 public:
  FaultyDirectory(std::unique_ptr<FSDirectory> directory, FaultState& state)
      : FSDirectoryWrapper(std::move(directory)), state_(state) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    return Synced(FSDirectoryWrapper::Fsync(options, debug));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& what) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    return Synced(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, what));
  }

 private:
  // The store has one directory.
  IOStatus Synced(IOStatus status) {
    if (!status.ok()) return status;
    for (auto& [name, file] : state_.files()) file.entry_synced = true;
    state_.replaced().clear();
    return status;
  }

  FaultState& state_;
};

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(FaultState& state)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), state_(state) {}

  const char* Name() const override { return "FaultyFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    const IOStatus status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (!status.ok()) return status;
    state_.files()[name] = {.named = state_.Name()};
    *result = std::make_unique<FaultyFile>(std::move(*result), name, state_);
    return status;
  }

  IOStatus NewRandomAccessFile(const std::string& name, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext* debug) override {
    if (state_.ReadFails()) return IOStatus::IOError("injected fault");
    const IOStatus status = FileSystemWrapper::NewRandomAccessFile(name, options, result, debug);
    if (status.ok()) *result = std::make_unique<FaultyReads>(std::move(*result), state_);
    return status;
  }

  IOStatus NewSequentialFile(const std::string& name, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* debug) override {
    if (state_.ReadFails()) return IOStatus::IOError("injected fault");
    const IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, result, debug);
    if (status.ok()) *result = std::make_unique<FaultySequentialReads>(std::move(*result), state_);
    return status;
  }

  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* result, IODebugContext* debug) override {
    const IOStatus status = FileSystemWrapper::NewDirectory(name, options, result, debug);
    if (status.ok()) *result = std::make_unique<FaultyDirectory>(std::move(*result), state_);
    return status;
  }

  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    std::string before;
    const bool replaces = ReadWholeFile(to, &before);
    const IOStatus status = FileSystemWrapper::RenameFile(from, to, options, debug);
    const auto file = state_.files().find(from);
    if (!status.ok() || file == state_.files().end()) return status;
    FaultState::File renamed = file->second;
    renamed.entry_synced = replaces;
    renamed.named = state_.Name();
    if (replaces) {
      FaultState::Replaced& replaced =
          state_.replaced().try_emplace(to, FaultState::Replaced{std::move(before)}).first->second;
      replaced.named = renamed.named;
    }
    state_.files().erase(file);
    state_.files()[to] = renamed;
    return status;
  }

  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override {
    FaultState::Turn turn(state_);
    if (turn.fails()) return turn.error();
    state_.files().erase(name);
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }

 private:
  FaultState& state_;
};

}  // namespace

Fault ParseFault(std::string_view name) {
  if (name == "eio") return Fault::kFailOnce;
  if (name == "from") return Fault::kFailFrom;
  if (name == "enospc") return Fault::kNoSpaceOnce;
  if (name == "short") return Fault::kShortWriteOnce;
  if (name == "read") return Fault::kReadOnce;
  if (name == "power") return Fault::kPowerCut;
  return name == "power-part" ? Fault::kPowerCutPart : Fault::kNone;
}

IOStatus FaultState::Turn::error() const {
  if (state_.fault_ == Fault::kNoSpaceOnce) return IOStatus::NoSpace("injected fault");
  return IOStatus::IOError("injected fault");
}

bool FaultState::fired() const {
  absl::MutexLock lock(&mutex_);
  return fault_ != Fault::kNone && operations_ >= at_;
}

bool FaultState::ReadFails() {
  if (fault_ != Fault::kReadOnce) return false;
  absl::MutexLock lock(&mutex_);
  return ++operations_ == at_;
}

bool FaultState::Next() {
  if (fault_ == Fault::kReadOnce) return false;
  ++operations_;
  switch (fault_) {
    case Fault::kNone:
    case Fault::kReadOnce:
      return false;
    case Fault::kFailOnce:
    case Fault::kNoSpaceOnce:
    case Fault::kShortWriteOnce:
      return operations_ == at_;
    case Fault::kFailFrom:
      return operations_ >= at_;
    case Fault::kPowerCut:
    case Fault::kPowerCutPart:
      if (operations_ == at_) CutPower(fault_ == Fault::kPowerCutPart);
      return false;
  }
  return false;
}

// A part that is kept is a random number of bytes of each file from where it was synced, and of the
// names those that were given first: file systems write names in their order.
void FaultState::CutPower(bool keeps_part) {
  std::mt19937_64 random(at_);
  std::set<uint64_t> unsynced{0};
  for (const auto& [name, file] : files_) {
    if (!file.entry_synced) unsynced.insert(file.named);
  }
  for (const auto& [name, replaced] : replaced_) unsynced.insert(replaced.named);
  const auto last = static_cast<std::ptrdiff_t>(keeps_part ? random() % unsynced.size() : 0);
  const uint64_t last_kept = *std::next(unsynced.begin(), last);
  for (const auto& [name, file] : files_) {
    if (!file.entry_synced && file.named > last_kept) {
      unlink(name.c_str());
      continue;
    }
    if (file.synced_size == file.size) continue;
    const uint64_t part = keeps_part ? random() % (file.size - file.synced_size + 1) : 0;
    if (truncate(name.c_str(), static_cast<off_t>(file.synced_size + part)) != 0) _exit(1);
  }
  for (const auto& [name, replaced] : replaced_) {
    if (replaced.named <= last_kept) continue;
    std::ofstream(name, std::ios::binary | std::ios::trunc) << replaced.content;
  }
  _exit(kPowerCutExitCode);
}

std::unique_ptr<rocksdb::Env> MakeFaultyEnv(FaultState& state) {
  return rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(state));
}

}  // namespace tessera
