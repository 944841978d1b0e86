// Two threads at a log when it fails: both get an error. RocksDB as the distribution builds it ends
// the process if one of them finds the other's error in the file.
#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/storage/rocksdb_store.h"
#include "server/storage/rocksdb_store_env.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// Long enough for a thread to come to where it waits, without which a test shows nothing.
constexpr absl::Duration kOnTheWay = absl::Milliseconds(100);
constexpr absl::Duration kLongest = absl::Seconds(20);

enum class Who { kRocksDb, kTest, kOther };
thread_local Who who = Who::kRocksDb;

enum class What { kSync, kCreation };

// Stops the first sync of a log by one thread, or its first creation of one, and lets it fail when
// it is opened.
class Gate {
 public:
  void StopsAt(Who stopped, What what = What::kSync) {
    absl::MutexLock lock(&mutex_);
    stopped_ = stopped;
    what_ = what;
    armed_ = true;
  }
  // Whether it fails.
  bool Enter(What what) {
    absl::MutexLock lock(&mutex_);
    if (!armed_ || who != stopped_ || what != what_) return false;
    armed_ = false;
    reached_ = true;
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&opened_), kLongest));
    return true;
  }
  void Open() {
    absl::MutexLock lock(&mutex_);
    opened_ = true;
  }
  bool reached() const {
    absl::MutexLock lock(&mutex_);
    return reached_;
  }
  bool AwaitReached() const {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&reached_), kLongest);
  }

 private:
  mutable absl::Mutex mutex_;
  bool armed_ ABSL_GUARDED_BY(mutex_) = false;
  Who stopped_ ABSL_GUARDED_BY(mutex_) = Who::kRocksDb;
  What what_ ABSL_GUARDED_BY(mutex_) = What::kSync;
  bool reached_ ABSL_GUARDED_BY(mutex_) = false;
  bool opened_ ABSL_GUARDED_BY(mutex_) = false;
};

class GatedLog final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  GatedLog(std::unique_ptr<rocksdb::FSWritableFile> file, Gate& gate)
      : FSWritableFileOwnerWrapper(std::move(file)), gate_(gate) {}

  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    if (gate_.Enter(What::kSync)) return IOStatus::IOError("injected fault");
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }

 private:
  Gate& gate_;
};

class GatedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit GatedFileSystem(Gate& gate)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), gate_(gate) {}
  const char* Name() const override { return "GatedFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* debug) override {
    const bool is_log = absl::EndsWith(name, ".log");
    if (is_log && gate_.Enter(What::kCreation)) return IOStatus::NoSpace("injected fault");
    const IOStatus status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (status.ok() && is_log) *result = std::make_unique<GatedLog>(std::move(*result), gate_);
    return status;
  }

 private:
  Gate& gate_;
};

class RocksDbStoreLogTest : public testing::Test {
 protected:
  void SetUp() override { Open(size_t{8} << 10); }

  void Open(size_t write_buffer_bytes) {
    who = Who::kTest;
    store_ = nullptr;
    auto store = OpenRocksDbStoreOn({.path = dir_.path() + "/data",
                                     .write_buffer_bytes = write_buffer_bytes,
                                     .free_disk_bytes_min = 0},
                                    env_.get());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    ASSERT_TRUE(Commit(Durability::kSync).ok());
  }

  absl::Status Commit(Durability durability) {
    const auto batch = store_->NewBatch();
    batch->Put(Family::kIds, "key", "a family that is flushed with the one that is full");
    batch->Put(Family::kPoints, "key", std::string(500, 'v'));
    return store_->Commit(*batch, durability);
  }

  // `work` in a thread of its own, given the time to come to where it waits; then the gate opens.
  template <class Work>
  absl::Status StatusOf(Work work) {
    absl::Status status;
    std::thread thread([&] {
      who = Who::kOther;
      status = work();
    });
    absl::SleepFor(kOnTheWay);
    gate_.Open();
    thread.join();
    return status;
  }

  // One that nobody syncs and that begins a log.
  void ExpectACommitToFailAt(What what) {
    constexpr int kCommitsOfSeveralLogs = 1'000;
    // So large that a log is begun because one family is full, and not because all together are:
    // that is when RocksDB would not let go of the others.
    Open(size_t{128} << 10);
    gate_.StopsAt(Who::kTest, what);
    gate_.Open();
    int taken = 0;
    while (taken < kCommitsOfSeveralLogs && Commit(Durability::kAsync).ok()) ++taken;
    EXPECT_LT(taken, kCommitsOfSeveralLogs) << "no commit met the gate";
    ExpectNoMoreWrites();
  }

  void ExpectNoMoreWrites() {
    EXPECT_TRUE(absl::IsFailedPrecondition(Commit(Durability::kAsync)));
    EXPECT_FALSE(store_->Sync().ok());
    EXPECT_FALSE(store_->Checkpoint(dir_.path() + "/copy").ok());
    EXPECT_TRUE(store_->Get(Family::kPoints, "key").ok());
    store_->Close().IgnoreError();
  }

  TempDir dir_;
  Gate gate_;
  const std::unique_ptr<rocksdb::Env> env_ =
      rocksdb::NewCompositeEnv(std::make_shared<GatedFileSystem>(gate_));
  std::unique_ptr<Store> store_;
};

TEST_F(RocksDbStoreLogTest, ACommitWaitsForALogThatAFlushCannotSync) {
  gate_.StopsAt(Who::kRocksDb);
  // By a thread of their own: one that comes after the flush, and before that is seen, waits for
  // it.
  bool failed_before = false;
  std::thread commits([&] {
    who = Who::kTest;
    const absl::Time deadline = absl::Now() + kLongest;
    while (!gate_.reached() && !failed_before && absl::Now() < deadline) {
      failed_before = !Commit(Durability::kAsync).ok() && !gate_.reached();
      absl::SleepFor(absl::Milliseconds(2));
    }
  });
  EXPECT_TRUE(gate_.AwaitReached()) << "no flush synced a log";
  EXPECT_FALSE(StatusOf([&] { return Commit(Durability::kSync); }).ok());
  commits.join();
  EXPECT_FALSE(failed_before);
  ExpectNoMoreWrites();
}

TEST_F(RocksDbStoreLogTest, ASyncWaitsForALogThatACommitCannotSync) {
  gate_.StopsAt(Who::kTest);
  absl::Status committed;
  std::thread commit([&] {
    who = Who::kTest;
    committed = Commit(Durability::kSync);
  });
  ASSERT_TRUE(gate_.AwaitReached());
  EXPECT_FALSE(StatusOf([&] { return store_->Sync(); }).ok());
  commit.join();
  EXPECT_FALSE(committed.ok());
  ExpectNoMoreWrites();
}

TEST_F(RocksDbStoreLogTest, ACommitWaitsForALogThatASyncCannotSync) {
  gate_.StopsAt(Who::kTest);
  absl::Status synced;
  std::thread sync([&] {
    who = Who::kTest;
    synced = store_->Sync();
  });
  ASSERT_TRUE(gate_.AwaitReached());
  EXPECT_TRUE(Commit(Durability::kAsync).ok()) << "it has nothing to wait for";
  EXPECT_FALSE(StatusOf([&] { return Commit(Durability::kSync); }).ok());
  sync.join();
  EXPECT_FALSE(synced.ok());
  ExpectNoMoreWrites();
}

TEST_F(RocksDbStoreLogTest, ALogIsBegunWhenTheOlderOneIsOnDisk) {
  ExpectACommitToFailAt(What::kSync);
}

TEST_F(RocksDbStoreLogTest, ALogThatCannotBeMadeEndsWriting) {
  ExpectACommitToFailAt(What::kCreation);
}

TEST_F(RocksDbStoreLogTest, ACheckpointThatCannotSyncTheLogEndsWriting) {
  gate_.StopsAt(Who::kOther);
  EXPECT_FALSE(StatusOf([&] { return store_->Checkpoint(dir_.path() + "/first"); }).ok());
  ExpectNoMoreWrites();
}

}  // namespace
}  // namespace tessera
