#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_FILES_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_FILES_H_

#include <rocksdb/db.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// What concerns the files of an open database as a whole. Thread-safe. `root` is the store's
// directory, for messages.

// Store::Checkpoint.
absl::Status MakeCheckpoint(rocksdb::DB& db, const std::string& directory, const std::string& root);

// Store::CheckFiles: reads every table and compares it with the checksum that the manifest keeps.
std::vector<absl::Status> CheckTables(rocksdb::DB& db, const std::string& root);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_FILES_H_
