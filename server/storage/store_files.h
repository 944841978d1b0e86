#ifndef TESSERA_SERVER_STORAGE_STORE_FILES_H_
#define TESSERA_SERVER_STORAGE_STORE_FILES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tessera {

// Looks at a store's directory from outside RocksDB. Thread-safe.

// Makes the directory if it is not there; UNAVAILABLE if it cannot.
absl::Status MakeStoreDirectory(const std::string& root);

// DATA_LOSS if tables or logs lie there without CURRENT: RocksDB would take the directory for a
// new store and delete them.
absl::Status CheckCurrentFile(const std::string& root);

// `status`, the DATA_LOSS of an open, with the files at fault added where RocksDB left them out.
absl::Status NameDamagedFiles(const absl::Status& status, const std::string& root);

// The names of the logs that are not empty, oldest first: "000012.log or 000015.log".
std::string LogsWithContent(const std::string& root);

// RESOURCE_EXHAUSTED if fewer bytes are free on the directory's disk. `what` says what needs them.
absl::Status CheckFreeBytes(const std::string& root, uint64_t bytes_min, std::string_view what);

// The bytes of all files, and of the logs among them.
uint64_t DirectoryBytes(const std::string& root);
uint64_t LogBytes(const std::string& root);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_STORE_FILES_H_
