// Opens the store in argv[1] on an env with a fault, makes argv[4] commits to it from the one that
// it holds on, and closes it. For the fault test.
//
//   store_faults DIRECTORY FAULT OPERATION COMMITS
//
// FAULT is as ParseFault has it. The number of acknowledged commits goes to standard output, 8
// bytes each. Exit codes: 0 without the fault having fired, 1 after it, 3 if a commit, or what
// else touches the log, was taken after one that had failed.
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/storage/rocksdb_store_env.h"
#include "tests/server/storage/faulty_env.h"
#include "tests/server/storage/store_writer.h"

namespace tessera {
namespace {

constexpr int kTriesAfterFailure = 3;

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

int Run(const RocksDbOptions& options, FaultState& state, uint64_t commits) {
  const auto env = MakeFaultyEnv(state);
  auto store = OpenRocksDbStoreOn(options, env.get());
  if (!store.ok()) return 1;
  const auto first = CountWritten(**store);
  if (!first.ok()) return 1;
  for (uint64_t number = *first; number < *first + commits; ++number) {
    // The last commits of all are synced, or nobody would have to keep the others.
    const auto durability = number % 3 == 1 ? Durability::kAsync : Durability::kSync;
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
  if (argc != 5) return 2;
  tessera::FaultState state(tessera::ParseFault(argv[2]), std::strtoull(argv[3], nullptr, 10));
  // Small memtables, so that flushes, compactions and new logs take their share of the faults.
  return tessera::Run(
      {.path = argv[1], .write_buffer_bytes = size_t{8} << 10, .free_disk_bytes_min = 0}, state,
      std::strtoull(argv[4], nullptr, 10));
}
