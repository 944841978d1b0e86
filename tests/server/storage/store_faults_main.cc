// Opens the store in argv[1] on an env with a fault, makes argv[4] commits to it from the one that
// it holds on, and closes it. For the fault test.
//
//   store_faults DIRECTORY FAULT OPERATION COMMITS [async]
//
// FAULT is as ParseFault has it. With `async` no commit is synced, and a sync of a log takes a
// while, as on a real disk: writes go on beside those of the background. The number of acknowledged
// commits goes to standard output, 8 bytes each. Exit codes: 0 without the fault having fired, 1
// after it, 3 if a commit, or what else touches the log, was taken after one that had failed.
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "server/storage/rocksdb_store_env.h"
#include "tests/server/storage/faulty_env.h"
#include "tests/server/storage/store_writer.h"

namespace tessera {
namespace {

using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr int kTriesAfterFailure = 3;
constexpr absl::Duration kSlowSync = absl::Milliseconds(10);

class SlowLog final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    absl::SleepFor(kSlowSync);
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    absl::SleepFor(kSlowSync);
    return FSWritableFileOwnerWrapper::Fsync(options, debug);
  }
};

class SlowLogFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "SlowLogFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    const IOStatus status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (status.ok() && absl::EndsWith(name, ".log")) {
      *result = std::make_unique<SlowLog>(std::move(*result));
    }
    return status;
  }
};

bool Acknowledge(uint64_t count) {
  return write(STDOUT_FILENO, &count, sizeof(count)) == sizeof(count);
}

// Whether the store stays closed to writes, and to what else would touch its log.
bool RefusesFurtherWork(Store& store, const std::string& path, uint64_t number) {
  std::atomic<bool> cancelled{false};
  if (store.Checkpoint(path + "-copy").ok() || store.Sync().ok() ||
      store.Compact(Family::kIds, "", "", &cancelled).ok()) {
    return false;
  }
  for (int i = 0; i < kTriesAfterFailure; ++i) {
    if (store.Commit(*WrittenBatch(store, number), Durability::kSync).ok()) return false;
  }
  return true;
}

int Run(const RocksDbOptions& options, FaultState& state, uint64_t commits, bool async) {
  auto env = MakeFaultyEnv(state);
  if (async) {
    env = rocksdb::NewCompositeEnv(std::make_shared<SlowLogFileSystem>(env->GetFileSystem()));
  }
  auto store = OpenRocksDbStoreOn(options, env.get());
  if (!store.ok()) return 1;
  const auto first = CountWritten(**store);
  if (!first.ok()) return 1;
  for (uint64_t number = *first; number < *first + commits; ++number) {
    // The last commits of all are synced, or nobody would have to keep the others.
    const auto durability = async || number % 3 == 1 ? Durability::kAsync : Durability::kSync;
    if (!(*store)->Commit(*WrittenBatch(**store, number), durability).ok()) {
      return RefusesFurtherWork(**store, options.path, number) ? 1 : 3;
    }
    if (durability == Durability::kSync && !Acknowledge(number + 1)) return 2;
  }
  const bool closed = (*store)->Close().ok();
  return closed && !state.fired() ? 0 : 1;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) return 2;
  const bool async = argc == 6 && std::string_view(argv[5]) == "async";
  tessera::FaultState state(tessera::ParseFault(argv[2]), std::strtoull(argv[3], nullptr, 10));
  // Small memtables, so that flushes, compactions and new logs take their share of the faults; but
  // as large as to take what is written while one of them is flushed.
  const size_t write_buffer_bytes = size_t{async ? 128u : 8u} << 10;
  return tessera::Run(
      {.path = argv[1], .write_buffer_bytes = write_buffer_bytes, .free_disk_bytes_min = 0}, state,
      std::strtoull(argv[4], nullptr, 10), async);
}
