#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/store_writer.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

class RocksDbCheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenRocksDbStore({.path = path()});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::string path() const { return dir_.path() + "/store"; }
  std::string copy() const { return dir_.path() + "/copy"; }

  void Write(uint64_t begin, uint64_t end) {
    for (uint64_t number = begin; number < end; ++number) {
      ASSERT_TRUE(store_->Commit(*WrittenBatch(*store_, number), Durability::kSync).ok());
    }
  }

  static std::map<std::string, std::string> FilesOf(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path().filename()].assign(std::istreambuf_iterator<char>(file), {});
    }
    return files;
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(RocksDbCheckpointTest, HoldsWhatWasWrittenAndNothingLater) {
  Write(0, 20);
  ASSERT_EQ(store_->Checkpoint(copy()), absl::OkStatus());
  Write(20, 30);
  auto opened = store_->OpenCheckpoint(copy());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*CountWritten(**opened), 20u);
  EXPECT_EQ(*CountWritten(*store_), 30u);
}

TEST_F(RocksDbCheckpointTest, OpeningItChangesNoByte) {
  Write(0, 20);
  ASSERT_EQ(store_->Checkpoint(copy()), absl::OkStatus());
  const auto before = FilesOf(copy());
  {
    auto opened = store_->OpenCheckpoint(copy());
    ASSERT_TRUE(opened.ok()) << opened.status();
    const absl::Status refused = (*opened)->Commit(*WrittenBatch(**opened, 20), Durability::kSync);
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_EQ((*opened)->Close(), absl::OkStatus());
  }
  EXPECT_EQ(FilesOf(copy()), before);
}

TEST_F(RocksDbCheckpointTest, TablesAreHardLinks) {
  Write(0, 20);
  ASSERT_EQ(store_->Checkpoint(copy()), absl::OkStatus());
  int tables = 0;
  for (const auto& entry : fs::directory_iterator(copy())) {
    if (entry.path().extension() != ".sst") continue;
    ++tables;
    EXPECT_EQ(entry.hard_link_count(), 2u) << entry.path();
  }
  EXPECT_GE(tables, 1);
}

// Commits while checkpoints are made: each copy holds a prefix that is at least as long as what had
// been acknowledged when it began, and no commit waits for its end.
TEST_F(RocksDbCheckpointTest, CopiesMadeWhileWritingArePrefixes) {
  std::atomic<uint64_t> written = 0;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (uint64_t number = 0; !stop; ++number) {
      if (!store_->Commit(*WrittenBatch(*store_, number), Durability::kSync).ok()) break;
      written = number + 1;
    }
  });
  for (int i = 0; i < 10; ++i) {
    const uint64_t before = written;
    const std::string folder = copy() + std::to_string(i);
    ASSERT_EQ(store_->Checkpoint(folder), absl::OkStatus());
    auto opened = store_->OpenCheckpoint(folder);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const auto count = CountWritten(**opened);
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_GE(*count, before);
    EXPECT_LE(*count, written + 1);
  }
  stop = true;
  writer.join();
  EXPECT_GT(written, 0u);
}

TEST_F(RocksDbCheckpointTest, ReadOnlyOpenWithLockKeepsServersAway) {
  Write(0, 5);
  const absl::Status held = OpenRocksDbStoreReadOnly({.path = path()}, /*lock=*/true).status();
  EXPECT_EQ(held.code(), absl::StatusCode::kUnavailable) << held;
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  store_.reset();
  auto reader = OpenRocksDbStoreReadOnly({.path = path()}, /*lock=*/true);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*CountWritten(**reader), 5u);
  EXPECT_EQ(OpenRocksDbStore({.path = path()}).status().code(), absl::StatusCode::kUnavailable);
  reader->reset();
  EXPECT_TRUE(OpenRocksDbStore({.path = path()}).ok());
}

TEST_F(RocksDbCheckpointTest, ReadOnlyOpenReplaysTheLog) {
  Write(0, 5);
  store_.reset();  // not closed: the writes are in the log alone
  auto reader = OpenRocksDbStoreReadOnly({.path = path()}, /*lock=*/true);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*CountWritten(**reader), 5u);
}

TEST_F(RocksDbCheckpointTest, CheckFilesNamesEveryDamagedTable) {
  Write(0, 20);
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  store_.reset();
  std::vector<std::string> damaged;
  for (const auto& entry : fs::directory_iterator(path())) {
    if (entry.path().extension() != ".sst" || damaged.size() == 2) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(10);
    file.put('\x5A');
    damaged.push_back(entry.path().filename());
  }
  ASSERT_EQ(damaged.size(), 2u);
  auto reader = OpenRocksDbStoreReadOnly({.path = path()}, /*lock=*/true);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const std::vector<absl::Status> damages = (*reader)->CheckFiles();
  ASSERT_EQ(damages.size(), 2u);
  for (const std::string& name : damaged) {
    const bool named = absl::StrContains(damages[0].message(), name) ||
                       absl::StrContains(damages[1].message(), name);
    EXPECT_TRUE(named) << name;
  }
}

}  // namespace
}  // namespace tessera
