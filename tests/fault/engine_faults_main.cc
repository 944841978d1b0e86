// Lives through the workload in the data directory argv[1], on files that fail. For the fault test.
//
//   engine_faults DATA_DIR eio|enospc|short|power OPERATION
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

Fault ParseFault(std::string_view name) {
  if (name == "eio") return Fault::kFailOnce;
  if (name == "enospc") return Fault::kNoSpaceOnce;
  if (name == "short") return Fault::kShortWriteOnce;
  return Fault::kPowerCut;
}

bool Acknowledge(uint64_t count) {
  return write(STDOUT_FILENO, &count, sizeof(count)) == sizeof(count);
}

int Run(const std::string& data_dir, FaultState& state) {
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
  for (uint64_t n = 0; n < Workload::kWrites; ++n) {
    if (!Workload::Write(**engine, n).ok()) {
      // A write that failed in the store ends all writing.
      return Workload::Write(**engine, n == 0 ? 0 : n - 1).ok() ? 3 : 1;
    }
    if (!Acknowledge(n + 1)) return 2;
    Workload::WorkAfter(**engine, n);
  }
  const bool closed = (*engine)->Close().ok();
  return closed && !state.fired() ? 0 : 1;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  tessera::FaultState state(tessera::ParseFault(argv[2]), std::strtoull(argv[3], nullptr, 10));
  return tessera::Run(argv[1], state);
}
