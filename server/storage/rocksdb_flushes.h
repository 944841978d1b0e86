#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_FLUSHES_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_FLUSHES_H_

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <functional>

#include "server/storage/rocksdb_batch.h"

namespace tessera {

// What the store has to know of RocksDB's flushes, and does not want of its errors. Thread-safe.
//
// A flush takes all families that have anything to write, those included whose last memtable waits
// for a flush that is still under way. When that one ends first, the later flush finds nothing to
// write for such a family, and if it then fails, an assertion, which the distribution's build has
// on, ends the process (MemTableList::RollbackMemtableFlush, 7.8). So whoever may begin a flush
// waits until no family is in that state.
class FlushWatch final : public rocksdb::EventListener {
 public:
  // Keeps RocksDB from resuming by itself after an error: what a failed sync left in the log is not
  // known, and only a restart finds out.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override {
    failed_.store(true);
  }
  void OnMemTableSealed(const rocksdb::MemTableInfo&) override { sealed_.store(true); }

  // Whether RocksDB has failed to write, and takes no more writes.
  bool failed() const { return failed_.load(); }

  // To be called before what may begin a flush. Costs nothing while none is under way, and waits
  // only for families that were not written to since it began. Gives up when stopped() says so,
  // when RocksDB has failed, and after some seconds.
  void Await(rocksdb::DB& db, const FamilyHandles& families, const std::function<bool()>& stopped);

 private:
  std::atomic<bool> sealed_{false};  // since no flush was under way
  std::atomic<bool> failed_{false};
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_FLUSHES_H_
