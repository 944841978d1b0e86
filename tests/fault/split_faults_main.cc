// Lets a collection split its lists in the prepared data directory argv[1], on files that fail. For
// the fault test.
//
//   split_faults DATA_DIR eio|enospc|short|power|read OPERATION
//
// The number of acknowledged writes goes to standard output, 8 bytes each. Exit codes: 0 without
// the fault having fired, 1 after it.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "server/storage/rocksdb_store_env.h"
#include "tests/fault/split_workload.h"
#include "tests/server/storage/faulty_env.h"

namespace tessera {
namespace {

bool Acknowledge(uint64_t count) {
  return write(STDOUT_FILENO, &count, sizeof(count)) == sizeof(count);
}

int Run(const char* data_dir, Fault fault, uint64_t operation) {
  FaultState state(fault, operation);
  const auto env = MakeFaultyEnv(state);
  // Small memtables, so that flushes and new logs take their share of the faults.
  auto store = OpenRocksDbStoreOn({.path = std::string(data_dir) + "/store",
                                   .write_buffer_bytes = size_t{8} << 10,
                                   .free_disk_bytes_min = 0},
                                  env.get());
  if (!store.ok()) return 1;
  const absl::Status status = SplitWorkload::Run(**store, Acknowledge);
  // As a server that is killed then: closing a store that has failed takes long, and engine_faults
  // does it.
  if (state.fired()) _exit(1);
  const bool closed = (*store)->Close().ok();
  if (state.fired()) return 1;
  return status.ok() && closed ? 0 : 2;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return tessera::Run(argv[1], tessera::ParseFault(argv[2]), std::strtoull(argv[3], nullptr, 10));
}
