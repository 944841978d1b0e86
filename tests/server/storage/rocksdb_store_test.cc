#include "server/storage/rocksdb_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/storage/store.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr Family kAllFamilies[] = {Family::kMeta, Family::kCodebooks, Family::kIds, Family::kPoints,
                                   Family::kCodes};

class RocksDbStoreTest : public testing::Test {
 protected:
  RocksDbStoreTest() { Reopen(); }

  void Reopen(size_t write_buffer_bytes = RocksDbOptions().write_buffer_bytes) {
    store_.reset();
    auto store =
        OpenRocksDbStore({.path = dir_.path() + "/data", .write_buffer_bytes = write_buffer_bytes});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Put(Family family, std::string_view key, std::string_view value) {
    auto batch = store_->NewBatch();
    batch->Put(family, key, value);
    ASSERT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
  }

  std::optional<std::string> Get(Family family, std::string_view key) {
    auto value = store_->Get(family, key);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? *value : std::nullopt;
  }

  Pairs AllOf(StoreIterator& iterator) {
    Pairs pairs;
    for (; iterator.Valid(); iterator.Next()) {
      pairs.emplace_back(iterator.key(), iterator.value());
    }
    EXPECT_EQ(iterator.status(), absl::OkStatus());
    return pairs;
  }

  Pairs ScanAll(Family family, std::string_view begin, std::string_view end, bool bulk = false) {
    return AllOf(*store_->Scan(family, begin, end, bulk));
  }

  // The files of tables, once none has come or gone for a while.
  std::set<std::string> Tables() {
    constexpr absl::Duration kWhile = absl::Milliseconds(500);
    std::set<std::string> tables, before;
    do {
      before = std::exchange(tables, {});
      absl::SleepFor(kWhile);
      for (const auto& file : std::filesystem::directory_iterator(dir_.path() + "/data")) {
        if (file.path().extension() == ".sst") tables.insert(file.path().filename());
      }
    } while (tables != before);
    return tables;
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(RocksDbStoreTest, AbsentKeyIsNullopt) {
  for (Family family : kAllFamilies) EXPECT_EQ(Get(family, "absent"), std::nullopt);
}

TEST_F(RocksDbStoreTest, FamiliesAreApart) {
  for (Family family : kAllFamilies) {
    Put(family, "key", "value " + std::to_string(static_cast<int>(family)));
  }
  for (Family family : kAllFamilies) {
    EXPECT_EQ(Get(family, "key"), "value " + std::to_string(static_cast<int>(family)));
  }
}

TEST_F(RocksDbStoreTest, CommitsSurviveReopeningWithAndWithoutClose) {
  Put(Family::kMeta, "a", "1");
  Put(Family::kPoints, std::string("\0b", 2), std::string("\0\xFF", 2));
  Reopen();  // the destructor alone: the log is replayed
  EXPECT_EQ(Get(Family::kMeta, "a"), "1");
  Put(Family::kMeta, "c", "");
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  Reopen();
  EXPECT_EQ(Get(Family::kMeta, "a"), "1");
  EXPECT_EQ(Get(Family::kMeta, "c"), "");
  EXPECT_EQ(Get(Family::kPoints, std::string("\0b", 2)), std::string("\0\xFF", 2));
}

TEST_F(RocksDbStoreTest, BatchTakesEffectInOrderAndTogether) {
  Put(Family::kIds, "old", "x");
  auto batch = store_->NewBatch();
  const size_t empty_bytes = batch->bytes();
  batch->Put(Family::kIds, "new", "1");
  batch->Put(Family::kIds, "new", "2");
  batch->Delete(Family::kIds, "old");
  batch->Put(Family::kPoints, "p", "q");
  EXPECT_GT(batch->bytes(), empty_bytes);
  EXPECT_EQ(Get(Family::kIds, "new"), std::nullopt);
  EXPECT_EQ(Get(Family::kIds, "old"), "x");
  ASSERT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
  EXPECT_EQ(Get(Family::kIds, "new"), "2");
  EXPECT_EQ(Get(Family::kIds, "old"), std::nullopt);
  EXPECT_EQ(Get(Family::kPoints, "p"), "q");
}

TEST_F(RocksDbStoreTest, AsyncCommitIsSeenAtOnceAndSyncedByTheNext) {
  auto batch = store_->NewBatch();
  batch->Put(Family::kIds, "a", "1");
  ASSERT_EQ(store_->Commit(*batch, Durability::kAsync), absl::OkStatus());
  EXPECT_EQ(Get(Family::kIds, "a"), "1");
  Put(Family::kIds, "b", "2");
  Reopen();
  EXPECT_EQ(Get(Family::kIds, "a"), "1");
  EXPECT_EQ(Get(Family::kIds, "b"), "2");
}

TEST_F(RocksDbStoreTest, EmptyBatchCommits) {
  auto batch = store_->NewBatch();
  EXPECT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
}

TEST_F(RocksDbStoreTest, ScanKeepsItsMoment) {
  Put(Family::kPoints, "a", "1");
  Put(Family::kPoints, "b", "1");
  Put(Family::kPoints, "d", "1");
  const auto walk = store_->Scan(Family::kPoints, "", "", /*bulk=*/false);
  const auto bulk_walk = store_->Scan(Family::kPoints, "", "", /*bulk=*/true);
  auto batch = store_->NewBatch();
  batch->Put(Family::kPoints, "a", "2");
  batch->Delete(Family::kPoints, "b");
  batch->Put(Family::kPoints, "c", "2");
  ASSERT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
  EXPECT_EQ(AllOf(*walk), (Pairs{{"a", "1"}, {"b", "1"}, {"d", "1"}}));
  EXPECT_EQ(AllOf(*bulk_walk), (Pairs{{"a", "1"}, {"b", "1"}, {"d", "1"}}));
  EXPECT_EQ(ScanAll(Family::kPoints, "", ""), (Pairs{{"a", "2"}, {"c", "2"}, {"d", "1"}}));
}

TEST_F(RocksDbStoreTest, ScanKeepsToItsRange) {
  for (const char* key : {"a", "b", "bb", "c", "d"}) Put(Family::kCodes, key, key);
  for (bool bulk : {false, true}) {
    EXPECT_EQ(ScanAll(Family::kCodes, "b", "d", bulk),
              (Pairs{{"b", "b"}, {"bb", "bb"}, {"c", "c"}}));
    EXPECT_EQ(ScanAll(Family::kCodes, "c", "", bulk), (Pairs{{"c", "c"}, {"d", "d"}}));
    EXPECT_EQ(ScanAll(Family::kCodes, "x", "z", bulk), Pairs{});
    EXPECT_EQ(ScanAll(Family::kCodes, "b", "b", bulk), Pairs{});
  }
  // The bounds may go away before the iterator does, and Seek does not leave them.
  std::unique_ptr<StoreIterator> iterator;
  {
    std::string begin = "b";
    std::string end = "d";
    iterator = store_->Scan(Family::kCodes, begin, end, false);
    begin = end = "?";
  }
  iterator->Seek("a");
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "b");
  iterator->Seek("c");
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "c");
  iterator->Seek("d");
  EXPECT_FALSE(iterator->Valid());
  EXPECT_EQ(iterator->status(), absl::OkStatus());
}

TEST_F(RocksDbStoreTest, DeleteRangeTakesExactlyItsRange) {
  for (const char* key : {"a", "b", "bb", "c", "d"}) {
    Put(Family::kCodes, key, key);
    Put(Family::kIds, key, key);
  }
  auto batch = store_->NewBatch();
  batch->DeleteRange(Family::kCodes, "b", "d");
  batch->Put(Family::kCodes, "bc", "after the range delete");
  ASSERT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
  const Pairs expected{{"a", "a"}, {"bc", "after the range delete"}, {"d", "d"}};
  EXPECT_EQ(ScanAll(Family::kCodes, "", ""), expected);
  EXPECT_EQ(Get(Family::kCodes, "c"), std::nullopt);
  EXPECT_EQ(ScanAll(Family::kIds, "", "").size(), 5u);
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  Reopen();
  EXPECT_EQ(ScanAll(Family::kCodes, "", ""), expected);
}

TEST_F(RocksDbStoreTest, MultiGetAnswersInTheOrderOfTheKeys) {
  constexpr int kKeys = 5'000;  // several chunks
  auto batch = store_->NewBatch();
  for (int i = 0; i < kKeys; i += 2) {
    batch->Put(Family::kIds, "key " + std::to_string(i), "value " + std::to_string(i));
  }
  ASSERT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
  std::vector<std::string> keys;
  for (int i = kKeys - 1; i >= 0; --i) keys.push_back("key " + std::to_string(i));
  keys.push_back(keys[1]);  // twice the same
  // What the output held before does not matter.
  std::vector<std::optional<std::string>> values(3, "left over");
  for (bool from_files : {false, true}) {
    if (from_files) {
      ASSERT_EQ(store_->Close(), absl::OkStatus());
      Reopen();
    }
    ASSERT_EQ(store_->MultiGet(Family::kIds, keys, &values), absl::OkStatus());
    ASSERT_EQ(values.size(), keys.size());
    for (int i = 0; i < kKeys; ++i) {
      const int number = kKeys - 1 - i;
      ASSERT_EQ(values[i], number % 2 == 0
                               ? std::optional<std::string>("value " + std::to_string(number))
                               : std::nullopt);
    }
    EXPECT_EQ(values.back(), values[1]);
  }
  ASSERT_EQ(store_->MultiGet(Family::kIds, {}, &values), absl::OkStatus());
  EXPECT_TRUE(values.empty());
}

// RocksDB writes all tables of the last level anew that have come there as they were, once a
// snapshot is let go (README.md, "Settings"): after a load, whatever there is.
TEST_F(RocksDbStoreTest, LookingUpManyKeysLeavesTablesAsTheyAre) {
  constexpr int kKeys = 3'000;
  Reopen(/*write_buffer_bytes=*/64 << 10);
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) {
    keys.push_back(absl::StrFormat("key %06d", i));
    auto batch = store_->NewBatch();
    batch->Put(Family::kPoints, keys.back(), std::string(1'000, 'v'));
    ASSERT_EQ(store_->Commit(*batch, Durability::kAsync), absl::OkStatus());
  }
  const std::set<std::string> tables = Tables();
  EXPECT_GT(tables.size(), 10u);
  std::vector<std::optional<std::string>> values;
  ASSERT_EQ(store_->MultiGet(Family::kPoints, keys, &values), absl::OkStatus());
  EXPECT_EQ(Tables(), tables);
}

TEST_F(RocksDbStoreTest, OneOpenAtATime) {
  const auto second = OpenRocksDbStore({.path = dir_.path() + "/data"});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable) << second.status();
  EXPECT_NE(second.status().message().find("another server"), absl::string_view::npos);
  Put(Family::kMeta, "a", "1");  // the first is unharmed
  store_.reset();
  Reopen();
  EXPECT_EQ(Get(Family::kMeta, "a"), "1");
}

TEST_F(RocksDbStoreTest, UnusableDirectoryIsUnavailable) {
  const auto store = OpenRocksDbStore({.path = "/proc/tessera"});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable) << store.status();
}

TEST_F(RocksDbStoreTest, ConcurrentCommitsAreAllKept) {
  constexpr int kThreads = 4;
  constexpr int kCommits = 50;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < kCommits; ++i) {
        Put(Family::kIds, std::to_string(thread) + "/" + std::to_string(i), "x");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Reopen();
  EXPECT_EQ(ScanAll(Family::kIds, "", "").size(), size_t{kThreads * kCommits});
}

TEST_F(RocksDbStoreTest, CompactReturnsTheSpaceOfWhatWasReplaced) {
  std::string value(100'000, '\0');
  for (int round = 0; round < 40; ++round) {
    for (size_t i = 0; i < value.size(); i += 3) value[i] = static_cast<char>(i * 31 + round);
    Put(Family::kPoints, "key", value);
  }
  // RocksDB guesses, of what is in its write buffer.
  EXPECT_GT(store_->ApproximateBytes(Family::kPoints, "a", "z"), 5 * value.size());
  std::atomic<bool> cancelled{true};
  EXPECT_TRUE(absl::IsCancelled(store_->Compact(Family::kPoints, "a", "z", &cancelled)));
  cancelled = false;
  ASSERT_EQ(store_->Compact(Family::kPoints, "a", "z", &cancelled), absl::OkStatus());
  EXPECT_LT(store_->ApproximateBytes(Family::kPoints, "a", "z"), 2 * value.size());
  EXPECT_EQ(Get(Family::kPoints, "key"), value);
}

TEST_F(RocksDbStoreTest, DeletionsAreCountedUntilTheyAreCompacted) {
  for (int i = 0; i < 300; ++i) Put(Family::kPoints, "key " + std::to_string(i), "value");
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  Reopen();
  auto batch = store_->NewBatch();
  for (int i = 0; i < 100; ++i) batch->Delete(Family::kPoints, "key " + std::to_string(i));
  ASSERT_EQ(store_->Commit(*batch, Durability::kSync), absl::OkStatus());
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  Reopen();
  EXPECT_EQ(store_->ApproximateDeletions(Family::kPoints, "a", "z"), 100u);
  EXPECT_EQ(store_->ApproximateDeletions(Family::kPoints, "x", "z"), 0u);
  EXPECT_EQ(store_->ApproximateDeletions(Family::kIds, "a", "z"), 0u);
  std::atomic<bool> cancelled{false};
  ASSERT_EQ(store_->Compact(Family::kPoints, "a", "z", &cancelled), absl::OkStatus());
  EXPECT_EQ(store_->ApproximateDeletions(Family::kPoints, "a", "z"), 0u);
}

TEST_F(RocksDbStoreTest, UsageAndApproximateBytesFollowTheData) {
  const StoreUsage before = store_->Usage();
  std::string value(1'000, '\0');
  for (int i = 0; i < 1'000; ++i) {
    for (char& c : value) c = static_cast<char>(rand());  // does not compress
    auto batch = store_->NewBatch();
    batch->Put(Family::kPoints, "key " + std::to_string(i), value);
    ASSERT_EQ(store_->Commit(*batch, Durability::kAsync), absl::OkStatus());
  }
  EXPECT_GT(store_->Usage().disk_bytes, before.disk_bytes + 900'000);
  EXPECT_GT(store_->Usage().memory_bytes, before.memory_bytes + 900'000);
  // RocksDB guesses the size of a part of its write buffer from random heights: only "some" is
  // sure.
  EXPECT_GT(store_->ApproximateBytes(Family::kPoints, "", "z"), 0u);
  ASSERT_EQ(store_->Close(), absl::OkStatus());
  Reopen();
  EXPECT_GT(store_->ApproximateBytes(Family::kPoints, "", "z"), 500'000u);
  EXPECT_LT(store_->ApproximateBytes(Family::kPoints, "x", "z"), 100'000u);
  EXPECT_EQ(store_->ApproximateBytes(Family::kCodes, "", "z"), 0u);
}

}  // namespace
}  // namespace tessera
