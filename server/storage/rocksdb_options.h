#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_OPTIONS_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_OPTIONS_H_

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <memory>
#include <vector>

#include "server/storage/rocksdb_store.h"
#include "server/storage/store.h"

namespace tessera {

// How RocksDB is set up; README.md says why. Pure functions.

rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options);

// One descriptor per Family, in its order, and RocksDB's own "default" (unused) at the end. All
// share `cache`.
std::vector<rocksdb::ColumnFamilyDescriptor> MakeFamilyDescriptors(
    const RocksDbOptions& options, const std::shared_ptr<rocksdb::Cache>& cache);

// The family's name on disk.
const char* FamilyName(Family family);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_OPTIONS_H_
