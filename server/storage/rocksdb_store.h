#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_STORE_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_STORE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/storage/store.h"

namespace tessera {

struct RocksDbOptions {
  std::string path;  // a directory, made if it is not there
  size_t block_cache_bytes = size_t{64} << 20;
  size_t write_buffer_bytes = size_t{64} << 20;  // one memtable
  int background_threads = 2;
};

// Opens or creates the store. One process at a time: UNAVAILABLE if another holds the lock.
// DATA_LOSS, naming the file, if what is there is damaged.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_STORE_H_
