#include "server/storage/rocksdb_batch.h"

namespace tessera {
namespace {

constexpr size_t kProtectionBytesPerKey = 8;

rocksdb::WriteBatch EmptyBatch(size_t reserved_bytes) {
  return rocksdb::WriteBatch(reserved_bytes, /*max_bytes=*/0, kProtectionBytesPerKey,
                             /*default_cf_ts_sz=*/0);
}

}  // namespace

RocksDbBatch::RocksDbBatch(const FamilyHandles& handles)
    : handles_(handles), batch_(EmptyBatch(0)) {}

void RocksDbBatch::Reserve(size_t bytes) { batch_ = EmptyBatch(bytes); }

void RocksDbBatch::Put(Family family, std::string_view key, std::string_view value) {
  Keep(batch_.Put(handle(family), ToSlice(key), ToSlice(value)));
}

void RocksDbBatch::Delete(Family family, std::string_view key) {
  Keep(batch_.Delete(handle(family), ToSlice(key)));
}

void RocksDbBatch::DeleteRange(Family family, std::string_view begin, std::string_view end) {
  Keep(batch_.DeleteRange(handle(family), ToSlice(begin), ToSlice(end)));
}

}  // namespace tessera
