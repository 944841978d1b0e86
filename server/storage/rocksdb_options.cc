#include "server/storage/rocksdb_options.h"

#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>

#include "server/storage/rocksdb_logger.h"

namespace tessera {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kProtectionBytes = 8;
constexpr double kBloomBitsPerKey = 10;

// The families of a collection's bulk. The others are small and rarely written.
bool IsBulk(Family family) {
  return family == Family::kIds || family == Family::kPoints || family == Family::kCodes;
}

// The bulk families that are read one key at a time.
bool IsPointRead(Family family) { return family == Family::kIds || family == Family::kPoints; }

rocksdb::BlockBasedTableOptions MakeTableOptions(Family family,
                                                 const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  // Index and filter blocks live in the cache too, so that its size bounds what tables cost in
  // memory, however many points there are.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  if (IsPointRead(family)) {
    // In partitions: the filter of a large table is larger than a shard of the cache.
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = 4096;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
    table.whole_key_filtering = true;
  }
  // Codes are read in long walks only.
  table.block_size = family == Family::kCodes ? 32 << 10 : 4 << 10;
  return table;
}

rocksdb::ColumnFamilyOptions MakeFamilyOptions(Family family, const RocksDbOptions& options,
                                               const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions cf;
  cf.write_buffer_size = IsBulk(family) ? options.write_buffer_bytes : 4 * kMiB;
  cf.max_write_buffer_number = 3;
  cf.memtable_protection_bytes_per_key = kProtectionBytes;
  cf.level_compaction_dynamic_level_bytes = true;
  cf.max_bytes_for_level_base = 4 * options.write_buffer_bytes;
  cf.target_file_size_base = std::max(options.write_buffer_bytes, 16 * kMiB);
  // Young levels are read and rewritten soon: fast compression; the last level holds nearly all.
  cf.compression = rocksdb::kLZ4Compression;
  cf.bottommost_compression = rocksdb::kLZ4Compression;
  if (family == Family::kIds) {
    // Most ids of a bulk load are new: the lookup ends in a filter, also for the memtable.
    cf.memtable_whole_key_filtering = true;
    cf.memtable_prefix_bloom_size_ratio = 0.02;
  }
  // A slot that is read is there, so filters pay only above the last level.
  cf.optimize_filters_for_hits = family == Family::kPoints;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(MakeTableOptions(family, cache)));
  return cf;
}

}  // namespace

rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;

  // Durability. The default recovery mode opens after a checksum error and drops what follows.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // Before 7.10 a sync of logs beside the beginning of a new manifest can leave a store that claims
  // to miss one (RocksDB's pull request 10892), so manifests never get too large for that: there is
  // a new one at each start, and after one that could not be written.
  db.track_and_verify_wals_in_manifest = true;
  db.recycle_log_file_num = 0;  // a recycled log's old records look like a damaged tail
  db.paranoid_checks = true;
  db.verify_sst_unique_id_in_manifest = true;
  db.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  db.atomic_flush = true;
  db.max_bgerror_resume_count = 0;  // what a failed sync lost, a second one does not bring back

  // Memory and files.
  db.db_write_buffer_size = 4 * options.write_buffer_bytes;
  db.max_total_wal_size = 4 * options.write_buffer_bytes;
  db.max_open_files = 512;
  db.allow_mmap_reads = false;
  db.allow_mmap_writes = false;

  // Background work.
  db.max_background_jobs = std::max(2, options.background_threads);
  db.max_file_opening_threads = std::max(1, options.background_threads);
  db.bytes_per_sync = kMiB;
  db.wal_bytes_per_sync = kMiB;
  db.compaction_readahead_size = 2 * kMiB;

  db.info_log = std::make_shared<RocksDbLogger>(options.log);
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> MakeFamilyDescriptors(
    const RocksDbOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t i = 0; i < kFamilies; ++i) {
    const auto family = static_cast<Family>(i);
    descriptors.emplace_back(FamilyName(family), MakeFamilyOptions(family, options, cache));
  }
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName,
                           MakeFamilyOptions(Family::kMeta, options, cache));
  return descriptors;
}

const char* FamilyName(Family family) {
  switch (family) {
    case Family::kMeta:
      return "meta";
    case Family::kCodebooks:
      return "codebooks";
    case Family::kIds:
      return "ids";
    case Family::kPoints:
      return "points";
    case Family::kCodes:
      return "codes";
  }
  return "unknown";
}

}  // namespace tessera
