#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_STORE_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/storage/store.h"

namespace tessera {

struct RocksDbOptions {
  std::string path;  // a directory, made if it is not there
  size_t block_cache_bytes = size_t{64} << 20;
  size_t write_buffer_bytes = size_t{32} << 20;  // one memtable; up to four are in use
  int background_threads = 2;
  // Commits are refused while less is free on the disk: what is in memory has to find room when it
  // is flushed. Unlike a write that fails, that passes when there is room again. 0: never.
  size_t free_disk_bytes_min = size_t{128} << 20;
  // Told of RocksDB's warnings, from any thread; may be empty.
  std::function<void(std::string_view message)> log;
};

// Opens or creates the store. One process at a time: UNAVAILABLE if another holds the lock.
// DATA_LOSS, naming the file, if what is there is damaged. RESOURCE_EXHAUSTED if the disk has no
// room to recover into.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options);

// Opens a store that is there already, without changing a byte of it; commits are refused. It must
// not change while it is open: `lock` keeps servers away meanwhile (UNAVAILABLE if one holds it),
// and is not needed for checkpoints. DATA_LOSS as above.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStoreReadOnly(const RocksDbOptions& options,
                                                                bool lock);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_STORE_H_
