#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_BATCH_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_BATCH_H_

#include <rocksdb/db.h>
#include <rocksdb/slice.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "server/storage/store.h"

namespace tessera {

using FamilyHandles = std::array<rocksdb::ColumnFamilyHandle*, kFamilies>;

inline rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// A rocksdb::WriteBatch whose entries carry a checksum from here to the memtable. The handles
// belong to the store, which outlives the batch. Not thread-safe.
class RocksDbBatch final : public StoreBatch {
 public:
  explicit RocksDbBatch(const FamilyHandles& handles);

  void Put(Family family, std::string_view key, std::string_view value) override;
  void Delete(Family family, std::string_view key) override;
  void DeleteRange(Family family, std::string_view begin, std::string_view end) override;
  size_t bytes() const override { return batch_.GetDataSize(); }
  void Reserve(size_t bytes) override;

  // Whether there is nothing in it that takes room for good.
  bool only_deletes() const { return !batch_.HasPut(); }
  rocksdb::WriteBatch& batch() { return batch_; }
  // The first error of adding an entry (a batch that outgrew its limit).
  const rocksdb::Status& status() const { return status_; }

 private:
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return handles_[static_cast<size_t>(family)];
  }
  void Keep(const rocksdb::Status& status) {
    if (status_.ok() && !status.ok()) status_ = status;
  }

  const FamilyHandles handles_;
  rocksdb::WriteBatch batch_;
  rocksdb::Status status_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_BATCH_H_
