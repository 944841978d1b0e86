#include "server/storage/rocksdb_flushes.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tessera {
namespace {

using Properties = rocksdb::DB::Properties;

constexpr absl::Duration kPause = absl::Milliseconds(1);
constexpr int kPausesMost = 5'000;

uint64_t Property(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const std::string& name) {
  uint64_t value = 0;
  return db.GetIntProperty(family, name, &value) ? value : 0;
}

}  // namespace

void FlushWatch::Await(rocksdb::DB& db, const FamilyHandles& families,
                       const std::function<bool()>& stopped) {
  for (int pause = 0; pause < kPausesMost; ++pause) {
    if (!sealed_.exchange(false)) return;
    bool rests = false;
    for (rocksdb::ColumnFamilyHandle* family : families) {
      if (Property(db, family, Properties::kNumImmutableMemTable) == 0) continue;
      sealed_.store(true);
      rests |= Property(db, family, Properties::kNumEntriesActiveMemTable) == 0;
    }
    // Errors are counted with the default family.
    if (!rests || stopped() ||
        Property(db, db.DefaultColumnFamily(), Properties::kBackgroundErrors) > 0) {
      return;
    }
    absl::SleepFor(kPause);
  }
}

}  // namespace tessera
