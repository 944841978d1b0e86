#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_ITERATOR_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_ITERATOR_H_

#include <rocksdb/db.h>
#include <rocksdb/iterator.h>

#include <memory>
#include <string>
#include <string_view>

#include "server/storage/store.h"

namespace tessera {

// A range of one family, positioned at its begin. Owns its bounds, which RocksDB refers to.
class RocksDbIterator final : public StoreIterator {
 public:
  struct Range {
    std::string_view begin;
    std::string_view end;  // empty: the family's end
  };
  // `root` is the store's directory, for messages.
  RocksDbIterator(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const Range& range,
                  bool bulk, const std::string& root);

  bool Valid() const override { return iterator_->Valid(); }
  void Next() override { iterator_->Next(); }
  void Seek(std::string_view key) override;
  std::string_view key() const override;
  std::string_view value() const override;
  absl::Status status() const override;

 private:
  // The order matters: the iterator goes first, then what it points at.
  const std::string root_;
  const std::string begin_;
  const std::string end_;
  const rocksdb::Slice begin_slice_;
  const rocksdb::Slice end_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_ITERATOR_H_
