#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/store_writer.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCommits = 40;

// Files without which a store is whole: RocksDB's own records about itself, and the mark, which
// is kept twice.
bool IsHarmless(const std::string& name) {
  return name.starts_with("OPTIONS") || name == "IDENTITY" || name == "LOCK" ||
         name == "HIGH_WATER";
}

bool NamesAFile(const absl::Status& status) {
  const absl::string_view message = status.message();
  return absl::StrContains(message, ".sst") || absl::StrContains(message, ".log") ||
         absl::StrContains(message, "MANIFEST") || absl::StrContains(message, "CURRENT") ||
         absl::StrContains(message, "HIGH_WATER") || absl::StrContains(message, "WAL");
}

void FlipBit(const std::string& path, uint64_t offset, int bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ (1 << bit)));
  ASSERT_TRUE(file.good());
}

class RocksDbStoreDamageTest : public testing::Test {
 protected:
  enum class End { kClosed, kNotClosed };

  std::string original() const { return dir_.path() + "/original"; }
  std::string damaged() const { return dir_.path() + "/damaged"; }

  // A store that was closed has its data in tables, one that was not has it in the log.
  void MakeStore(End end) {
    auto store = OpenRocksDbStore({.path = original()});
    ASSERT_TRUE(store.ok()) << store.status();
    for (uint64_t number = 0; number < kCommits; ++number) {
      ASSERT_TRUE((*store)->Commit(*WrittenBatch(**store, number), Durability::kSync).ok());
    }
    if (end == End::kClosed) {
      ASSERT_EQ((*store)->Close(), absl::OkStatus());
    }
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(original())) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  uint64_t SizeOf(const std::string& name) const { return fs::file_size(original() + "/" + name); }

  // Copies the store, lets `damage` loose on one of its files, and opens and reads the copy.
  template <class Damage>
  absl::StatusOr<uint64_t> ReadAfter(const std::string& name, Damage damage) {
    fs::remove_all(damaged());
    fs::copy(original(), damaged());
    damage(damaged() + "/" + name);
    auto store = OpenRocksDbStore({.path = damaged()});
    if (!store.ok()) return store.status();
    return CountWritten(**store);
  }

  // Found and named, or harmless: never other answers.
  template <class Damage>
  void ExpectFoundOrHarmless(const std::string& name, const std::string& what, Damage damage) {
    const absl::StatusOr<uint64_t> count = ReadAfter(name, damage);
    if (count.ok()) {
      EXPECT_EQ(*count, kCommits) << what << " of " << name << ": commits were lost silently";
      ++harmless_;
      return;
    }
    EXPECT_EQ(count.status().code(), absl::StatusCode::kDataLoss)
        << what << " of " << name << ": " << count.status();
    EXPECT_TRUE(NamesAFile(count.status())) << count.status();
    EXPECT_EQ(count.status().GetPayload(kErrorReasonUrl), absl::Cord("STORE_DAMAGED"));
    EXPECT_FALSE(IsHarmless(name)) << count.status();
    ++found_;
  }

  void ExpectEveryDamageFoundOrHarmless() {
    std::mt19937 random(1);
    for (const std::string& name : Files()) {
      const uint64_t size = SizeOf(name);
      if (name != "HIGH_WATER") {
        ExpectFoundOrHarmless(name, "removal", [](const std::string& path) { fs::remove(path); });
      }
      if (size == 0) continue;
      const int flips = IsHarmless(name) ? 2 : 12;
      for (int i = 0; i < flips; ++i) {
        const uint64_t offset = i == 0 ? size - 1 : random() % size;
        const int bit = static_cast<int>(random() % 8);
        ExpectFoundOrHarmless(name, absl::StrCat("bit flip at byte ", offset),
                              [&](const std::string& path) { FlipBit(path, offset, bit); });
      }
      for (const uint64_t length : {uint64_t{0}, size / 3, size / 2, size - 1}) {
        if (name == "HIGH_WATER") continue;
        ExpectFoundOrHarmless(name, absl::StrCat("cut to ", length),
                              [&](const std::string& path) { fs::resize_file(path, length); });
      }
    }
    EXPECT_GE(found_, 30);
    EXPECT_GE(harmless_, 5);
  }

  TempDir dir_{TempDir::Place::kMemory};
  int found_ = 0;
  int harmless_ = 0;
};

TEST_F(RocksDbStoreDamageTest, EveryDamageOfAClosedStoreIsFoundOrHarmless) {
  MakeStore(End::kClosed);
  ExpectEveryDamageFoundOrHarmless();
}

TEST_F(RocksDbStoreDamageTest, EveryDamageOfAnUnclosedStoreIsFoundOrHarmless) {
  MakeStore(End::kNotClosed);
  ExpectEveryDamageFoundOrHarmless();
}

TEST_F(RocksDbStoreDamageTest, BitFlipInATableNamesTheTable) {
  MakeStore(End::kClosed);
  for (const std::string& name : Files()) {
    if (!name.ends_with(".sst")) continue;
    const auto count = ReadAfter(name, [](const std::string& path) { FlipBit(path, 100, 3); });
    EXPECT_EQ(count.status().code(), absl::StatusCode::kDataLoss) << count.status();
    EXPECT_TRUE(absl::StrContains(count.status().message(), name)) << count.status();
    // Relative to the store's directory: where that is concerns nobody else.
    EXPECT_FALSE(absl::StrContains(count.status().message(), dir_.path())) << count.status();
  }
}

TEST_F(RocksDbStoreDamageTest, BitFlipInTheLogNamesTheLog) {
  MakeStore(End::kNotClosed);
  for (const std::string& name : Files()) {
    if (!name.ends_with(".log")) continue;
    const auto count = ReadAfter(name, [](const std::string& path) { FlipBit(path, 1'000, 3); });
    EXPECT_EQ(count.status().code(), absl::StatusCode::kDataLoss) << count.status();
    EXPECT_TRUE(absl::StrContains(count.status().message(), name)) << count.status();
  }
}

// A cut at any byte of the log is either found, or took away only what was never acknowledged: here
// everything was. Cuts at the end of a record look like a whole log to RocksDB.
TEST_F(RocksDbStoreDamageTest, EveryCutOfTheLogsLastRecordsIsFound) {
  MakeStore(End::kNotClosed);
  for (const std::string& name : Files()) {
    const uint64_t size = SizeOf(name);
    if (!name.ends_with(".log") || size == 0) continue;
    for (uint64_t cut = 1; cut <= 60; ++cut) {
      const auto count = ReadAfter(
          name, [&](const std::string& path) { fs::resize_file(path, size - cut * 37 % size); });
      EXPECT_EQ(count.status().code(), absl::StatusCode::kDataLoss) << "cut of " << cut * 37;
    }
  }
}

// A cut between two records, which RocksDB takes for the end of a whole log: the message names the
// log and says how to go on, and what it says is true.
TEST_F(RocksDbStoreDamageTest, LogThatCameBackShorterIsNamedWithWhatCanBeDone) {
  MakeStore(End::kNotClosed);
  const auto names = Files();
  const auto log = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
    return name.ends_with(".log") && SizeOf(name) > 0;
  });
  ASSERT_NE(log, names.end());
  absl::Status refusal;
  for (uint64_t size = SizeOf(*log) - 1; refusal.ok() && size > 0; --size) {
    const auto count =
        ReadAfter(*log, [&](const std::string& path) { fs::resize_file(path, size); });
    ASSERT_EQ(count.status().code(), absl::StatusCode::kDataLoss) << size;
    if (absl::StrContains(count.status().message(), "HIGH_WATER")) refusal = count.status();
  }
  EXPECT_TRUE(absl::StrContains(refusal.message(), *log)) << refusal;
  EXPECT_TRUE(absl::StrContains(refusal.message(), "remove HIGH_WATER")) << refusal;
  EXPECT_TRUE(absl::StrContains(refusal.message(), "put the whole folder back")) << refusal;
  // However often it is opened, it is refused until someone has done something.
  EXPECT_TRUE(absl::IsDataLoss(OpenRocksDbStore({.path = damaged()}).status()));
  fs::remove(damaged() + "/HIGH_WATER");
  auto store = OpenRocksDbStore({.path = damaged()});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto count = CountWritten(**store);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, kCommits - 1);
}

TEST_F(RocksDbStoreDamageTest, FilesOfAnotherStoreAreRefused) {
  MakeStore(End::kClosed);
  fs::rename(original(), dir_.path() + "/other");
  MakeStore(End::kClosed);
  int swapped = 0;
  for (const std::string& name : Files()) {
    if (!name.ends_with(".sst")) continue;
    const std::string other = dir_.path() + "/other/" + name;
    if (!fs::exists(other)) continue;
    ++swapped;
    const auto count = ReadAfter(name, [&](const std::string& path) {
      fs::copy_file(other, path, fs::copy_options::overwrite_existing);
    });
    EXPECT_EQ(count.status().code(), absl::StatusCode::kDataLoss) << name;
  }
  EXPECT_GE(swapped, 1);
}

}  // namespace
}  // namespace tessera
