#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/store_writer.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

std::string Reason(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrorReasonUrl);
  return payload.has_value() ? std::string(*payload) : "";
}

// Without the check that keeps a store from getting this far.
std::unique_ptr<Store> Open(const std::string& path) {
  auto store = OpenRocksDbStore({.path = path, .free_disk_bytes_min = 0});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Commits until one fails; returns how many were acknowledged.
uint64_t CommitUntilFailure(Store& store, absl::Status* failure) {
  for (uint64_t number = 0; number < 1'000'000; ++number) {
    *failure = store.Commit(*WrittenBatch(store, number), Durability::kSync);
    if (!failure->ok()) return number;
  }
  return 0;
}

// After a failed commit: no more writes, but reads, until a restart, which loses nothing.
void ExpectReadOnlyUntilRestart(std::unique_ptr<Store> store, const std::string& path,
                                uint64_t acknowledged) {
  ASSERT_GT(acknowledged, 0u);
  const absl::Status refused = store->Commit(*WrittenBatch(*store, 0), Durability::kSync);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_EQ(Reason(refused), "STORE_READ_ONLY");
  const auto value = store->Get(Family::kPoints, WrittenKey(acknowledged - 1));
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, WrittenValue(acknowledged - 1));
  store->Close().IgnoreError();
  store.reset();

  store = Open(path);
  ASSERT_NE(store, nullptr);
  const auto count = CountWritten(*store);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_GE(*count, acknowledged);
  EXPECT_LE(*count, acknowledged + 1);
  EXPECT_EQ(store->Commit(*WrittenBatch(*store, *count), Durability::kSync), absl::OkStatus());
}

// Files of this process may not grow beyond `bytes` while the object lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }

 private:
  rlimit previous_;
  void (*previous_handler_)(int);
};

TEST(RocksDbStoreDiskFullTest, LogThatCannotGrowEndsWriting) {
  const TempDir dir;
  auto store = Open(dir.path());
  ASSERT_NE(store, nullptr);
  uint64_t acknowledged = 0;
  absl::Status failure;
  {
    const FileSizeLimit limit(300'000);
    acknowledged = CommitUntilFailure(*store, &failure);
  }
  EXPECT_EQ(failure.code(), absl::StatusCode::kResourceExhausted) << failure;
  ExpectReadOnlyUntilRestart(std::move(store), dir.path(), acknowledged);
}

// A file system of some bytes in memory.
class SmallDisk {
 public:
  explicit SmallDisk(const char* size_option) {
    std::filesystem::create_directory(path());
    mounted_ = mount("tmpfs", path().c_str(), "tmpfs", 0, size_option) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  void Grow() const { mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT, "size=64m"); }
  std::string path() const { return dir_.path() + "/disk"; }
  void Fill() const {
    std::FILE* file = std::fopen((path() + "/filler").c_str(), "w");
    const std::string block(4'096, 'x');
    while (std::fwrite(block.data(), 1, block.size(), file) == block.size() &&
           std::fflush(file) == 0) {
    }
    std::fclose(file);
  }
  void MakeRoom() const { std::filesystem::remove(path() + "/filler"); }

 private:
  TempDir dir_;
  bool mounted_ = false;
};

TEST(RocksDbStoreDiskFullTest, FullDiskEndsWriting) {
  const SmallDisk disk("size=8m");
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  const std::string path = disk.path() + "/data";
  auto store = Open(path);
  ASSERT_NE(store, nullptr);
  absl::Status failure;
  const uint64_t acknowledged = CommitUntilFailure(*store, &failure);
  EXPECT_EQ(failure.code(), absl::StatusCode::kResourceExhausted) << failure;
  disk.Grow();
  ExpectReadOnlyUntilRestart(std::move(store), path, acknowledged);
}

TEST(RocksDbStoreDiskFullTest, OpeningOnAFullDiskIsResourceExhausted) {
  const SmallDisk disk("size=8m");
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  const std::string path = disk.path() + "/data";
  ASSERT_EQ(Open(path)->Close(), absl::OkStatus());
  disk.Fill();
  const auto store = OpenRocksDbStore({.path = path});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kResourceExhausted) << store.status();
  disk.MakeRoom();
  EXPECT_NE(Open(path), nullptr);
}

// What users meet: the reserve is used up before the disk is, and nothing has to be restarted.
TEST(RocksDbStoreDiskFullTest, CommitsAreRefusedWhileLittleIsFreeAndTakenAgainAfterwards) {
  const SmallDisk disk("size=64m");
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  const std::string path = disk.path() + "/data";
  auto opened = OpenRocksDbStore({.path = path, .free_disk_bytes_min = size_t{4} << 20});
  ASSERT_TRUE(opened.ok()) << opened.status();
  Store& store = **opened;
  uint64_t number = 0;
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(store.Commit(*WrittenBatch(store, number), Durability::kSync), absl::OkStatus());
    ++number;
    disk.Fill();
    for (int attempt = 0; attempt < 3; ++attempt) {
      const absl::Status status = store.Commit(*WrittenBatch(store, number), Durability::kSync);
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      EXPECT_EQ(Reason(status), "DISK_FULL");
    }
    const auto value = store.Get(Family::kPoints, WrittenKey(0));
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(*value, WrittenValue(0));
    disk.MakeRoom();
  }
  const auto count = CountWritten(store);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, number);
}

// More than the disk has is to stay free, of which deletions may have a part.
TEST(RocksDbStoreDiskFullTest, WhatMakesRoomIsTakenWhenNothingElseIs) {
  const SmallDisk disk("size=64m");
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  const std::string path = disk.path() + "/data";
  const auto open = [&path](size_t free_disk_bytes_min) {
    return OpenRocksDbStore({.path = path, .free_disk_bytes_min = free_disk_bytes_min});
  };
  {
    auto store = open(size_t{4} << 20);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ((*store)->Commit(*WrittenBatch(**store, 0), Durability::kSync), absl::OkStatus());
  }
  auto store = open(size_t{128} << 20);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(Reason((*store)->Commit(*WrittenBatch(**store, 1), Durability::kSync)), "DISK_FULL");
  auto mixed = WrittenBatch(**store, 1);
  mixed->Delete(Family::kPoints, WrittenKey(0));
  EXPECT_EQ(Reason((*store)->Commit(*mixed, Durability::kSync)), "DISK_FULL");
  auto deletion = (*store)->NewBatch();
  deletion->DeleteRange(Family::kPoints, WrittenKey(0), WrittenKey(0) + "z");
  ASSERT_EQ((*store)->Commit(*deletion, Durability::kSync), absl::OkStatus());
  EXPECT_FALSE((*store)->Get(Family::kPoints, WrittenKey(0))->has_value());
}

// Tables that cannot be written are found in the background; the process has to live on.
TEST(RocksDbStoreDiskFullTest, FlushesAndCompactionsOnAFullDiskEndWriting) {
  for (const size_t write_buffer_bytes : {16 << 10, 64 << 10, 256 << 10}) {
    for (const char* size : {"size=3500k", "size=5500k"}) {
      const SmallDisk disk(size);
      if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
      const std::string path = disk.path() + "/data";
      auto store = OpenRocksDbStore(
          {.path = path, .write_buffer_bytes = write_buffer_bytes, .free_disk_bytes_min = 0});
      ASSERT_TRUE(store.ok()) << store.status();
      absl::Status failure;
      const uint64_t acknowledged = CommitUntilFailure(**store, &failure);
      EXPECT_EQ(failure.code(), absl::StatusCode::kResourceExhausted) << failure;
      disk.Grow();
      ExpectReadOnlyUntilRestart(*std::move(store), path, acknowledged);
    }
  }
}

}  // namespace
}  // namespace tessera
