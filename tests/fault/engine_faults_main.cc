// Lives through the workload in the data directory argv[1], on files that fail. For the fault test.
//
//   engine_faults DATA_DIR eio|enospc|short|power|read OPERATION
//
// For reads to fail there has to be something to read: the first half of the workload is done
// without a fault, and the rest by an engine that opens what is there.
//
// The number of acknowledged writes goes to standard output, 8 bytes each. Exit codes: 0 without
// the fault having fired, 1 after it, 3 if a write was taken after one that had failed.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "server/storage/rocksdb_store_env.h"
#include "tests/fault/workload.h"
#include "tests/server/storage/faulty_env.h"

namespace tessera {
namespace {

bool Acknowledge(uint64_t count) {
  return write(STDOUT_FILENO, &count, sizeof(count)) == sizeof(count);
}

// The writes [begin, end).
int Live(const std::string& data_dir, uint64_t begin, uint64_t end, FaultState& state,
         bool writing_ends) {
  const auto env = MakeFaultyEnv(state);
  // Small memtables, so that flushes and new logs take their share of the faults.
  auto store = OpenRocksDbStoreOn({.path = data_dir + "/store",
                                   .write_buffer_bytes = size_t{8} << 10,
                                   .free_disk_bytes_min = 0},
                                  env.get());
  if (!store.ok()) return 1;
  InlineExecutor executor;
  const auto engine = Workload::Open(data_dir, *std::move(store), executor);
  if (!engine.ok()) return 1;
  for (uint64_t n = begin; n < end; ++n) {
    if (!Workload::Write(**engine, n).ok()) {
      return writing_ends && Workload::Write(**engine, n == 0 ? 0 : 1).ok() ? 3 : 1;
    }
    if (!Acknowledge(n + 1)) return 2;
    Workload::WorkAfter(**engine, n);
  }
  const bool closed = (*engine)->Close().ok();
  return closed && !state.fired() ? 0 : 1;
}

int Run(const std::string& data_dir, std::string_view fault, uint64_t operation) {
  FaultState state(ParseFault(fault), operation);
  if (fault != "read") {
    // A write that failed in the store ends all writing.
    return Live(data_dir, 0, Workload::kWrites, state, /*writing_ends=*/true);
  }
  FaultState none(Fault::kNone, 0);
  const int first = Live(data_dir, 0, Workload::kWrites / 2, none, /*writing_ends=*/true);
  if (first != 0) return 2;
  return Live(data_dir, Workload::kWrites / 2, Workload::kWrites, state, /*writing_ends=*/false);
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return tessera::Run(argv[1], argv[2], std::strtoull(argv[3], nullptr, 10));
}
