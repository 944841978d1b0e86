#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_STATUS_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_STATUS_H_

#include <rocksdb/status.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tessera {

// RocksDB's status as Store reports errors, with reason DISK_FULL, STORE_DAMAGED or
// STORE_UNAVAILABLE where one of them applies. `what` says what was being done ("read family ids").
// File names are given relative to `root`, the store's directory. A file that is missing counts as
// damage: nobody but the store removes its files.
absl::Status MapRocksDbStatus(const rocksdb::Status& status, std::string_view what,
                              const std::string& root);

// FAILED_PRECONDITION, reason STORE_READ_ONLY: every write after `cause`.
absl::Status StoreReadOnly(const absl::Status& cause);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_STATUS_H_
