#include "server/storage/rocksdb_iterator.h"

#include <algorithm>

#include "server/storage/rocksdb_batch.h"
#include "server/storage/rocksdb_status.h"

namespace tessera {
namespace {

constexpr size_t kBulkReadaheadBytes = size_t{2} << 20;

}  // namespace

RocksDbIterator::RocksDbIterator(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family,
                                 const Range& range, bool bulk, const std::string& root)
    : root_(root), begin_(range.begin), end_(range.end), begin_slice_(begin_), end_slice_(end_) {
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &begin_slice_;
  if (!end_.empty()) options.iterate_upper_bound = &end_slice_;
  if (bulk) {
    options.fill_cache = false;
    options.readahead_size = kBulkReadaheadBytes;
  }
  iterator_.reset(db.NewIterator(options, family));
  iterator_->Seek(begin_slice_);
}

void RocksDbIterator::Seek(std::string_view key) {
  iterator_->Seek(ToSlice(std::max(key, std::string_view(begin_))));
}

std::string_view RocksDbIterator::key() const { return ToView(iterator_->key()); }

std::string_view RocksDbIterator::value() const { return ToView(iterator_->value()); }

absl::Status RocksDbIterator::status() const {
  return MapRocksDbStatus(iterator_->status(), "scan", root_);
}

}  // namespace tessera
