#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_STORE_ENV_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_STORE_ENV_H_

#include <rocksdb/env.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/storage/rocksdb_store.h"

namespace tessera {

// OpenRocksDbStore with RocksDB's files behind `env`, which must outlive the store: for tests that
// let reads, writes and syncs fail.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStoreOn(const RocksDbOptions& options,
                                                          rocksdb::Env* env);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_STORE_ENV_H_
