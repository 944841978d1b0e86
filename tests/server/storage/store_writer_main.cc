// Commits to the store in argv[1] from commit argv[2] on until it is killed, and writes the number
// of commits that were acknowledged to standard output, 8 bytes each. For the crash test.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/store_writer.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  // Small memtables, so that flushes and compactions are under way when the end comes.
  auto store = tessera::OpenRocksDbStore({.path = argv[1], .write_buffer_bytes = size_t{64} << 10});
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return 1;
  }
  for (uint64_t number = std::strtoull(argv[2], nullptr, 10);; ++number) {
    const auto batch = tessera::WrittenBatch(**store, number);
    const auto durability =
        number % 4 == 3 ? tessera::Durability::kAsync : tessera::Durability::kSync;
    if (!(*store)->Commit(*batch, durability).ok()) return 1;
    const uint64_t acknowledged = number + 1;
    if (write(STDOUT_FILENO, &acknowledged, sizeof(acknowledged)) != sizeof(acknowledged)) return 1;
  }
}
