// The copy of vectors on disk beside the store.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "tests/server/engine/counting_store.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/storage/page_cache.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 16;
constexpr size_t kPoints = 1'000;
constexpr size_t kLimit = 10;

// Fails once after it has committed, as a store does whose log could be written and not synced; and
// then takes no commit any more.
class FailingStore final : public CountingStore {
 public:
  FailingStore(std::unique_ptr<Store> store, std::atomic<size_t>& reads, std::atomic<bool>& fails)
      : CountingStore(std::move(store), reads), fails_(fails) {}

  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    RETURN_IF_ERROR(CheckWritable());
    RETURN_IF_ERROR(CountingStore::Commit(batch, durability));
    failed_ = fails_.exchange(false);
    return failed_ ? absl::UnavailableError("cannot sync") : absl::OkStatus();
  }
  absl::Status CheckWritable() override {
    return failed_ ? absl::FailedPreconditionError("read-only") : absl::OkStatus();
  }

 private:
  std::atomic<bool>& fails_;
  std::atomic<bool> failed_{false};
};

class EngineRowFile : public EngineFixture {
 protected:
  EngineRowFile() {
    engine_options_.deletion_step_points = 50;
    engine_options_.log = [this](std::string_view line) {
      filled_ += line.ends_with("the copy of its vectors is complete");
    };
  }

  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<FailingStore>(std::move(store), reads_, fails_);
  }

  // A trained collection "c" of kPoints.
  void CreateTrained() {
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDisk);
    Put(0, ClusteredRows(kPoints, kDimension, 1));
    Train("c", 8);
  }
  void Put(uint64_t first_id, const Matrix& rows) {
    ASSERT_TRUE(UpsertRows("c", first_id, rows).ok());
    for (size_t i = 0; i < rows.rows(); ++i) {
      const auto row = rows.row(i);
      vectors_[first_id + i] = {row.begin(), row.end()};
    }
  }
  void Remove(const std::vector<uint64_t>& ids) {
    ASSERT_TRUE(engine_->DeletePoints("c", {ids.begin(), ids.end()}, {}).ok());
    for (uint64_t id : ids) vectors_.erase(id);
  }

  // Searches all lists, so that all that codes leave out is compared: the scores are those of the
  // vectors that were written last. How many records were read from the store for it.
  size_t CheckedSearches(uint32_t seed) {
    const size_t before = reads_;
    const Matrix queries = ClusteredRows(20, kDimension, seed);
    const SearchResult result = Search("c", queries, kLimit, /*exact=*/false, /*nprobe=*/8);
    EXPECT_EQ(result.hits.size(), queries.rows());
    for (size_t q = 0; q < result.hits.size(); ++q) {
      EXPECT_EQ(result.hits[q].size(), std::min(kLimit, vectors_.size()));
      for (const Hit& hit : result.hits[q]) {
        const auto found = vectors_.find(std::get<uint64_t>(hit.id));
        if (found == vectors_.end()) {
          ADD_FAILURE() << "a point that is not there";
          continue;
        }
        double distance = 0;
        for (size_t d = 0; d < kDimension; ++d) {
          const double difference = double{queries.row(q)[d]} - found->second[d];
          distance += difference * difference;
        }
        EXPECT_NEAR(hit.score, distance, 1e-3 * (1 + distance));
      }
    }
    return reads_ - before;
  }
  // Until the searches need the store no more.
  void AwaitFilled() {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (CheckedSearches(3) > 0) {
      ASSERT_LT(absl::Now(), deadline) << "the file is not filled";
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  std::string File(int collection = 1) const {
    return absl::StrCat(directory_, "/rows/", collection, ".rows");
  }
  void Close() {
    ASSERT_TRUE(engine_->Close().ok());
    engine_.reset();
  }

  std::atomic<size_t> reads_{0};
  std::atomic<bool> fails_{false};
  std::atomic<size_t> filled_{0};  // files that have been made anew
  std::map<uint64_t, std::vector<float>> vectors_;
};

TEST_F(EngineRowFile, ASearchOfTheCacheNeedNotWait) {
  CreateTrained();
  const Matrix query = ClusteredRows(1, kDimension, 4);
  SearchRequest request;
  request.collection = "c";
  request.vectors = FloatView(query);
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kQuickIfCached);
  request.no_rerank = true;
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kQuick);
  request.no_rerank = false;
  request.may_wait = false;
  auto result = engine_->Search(request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Ids(result->hits[0]), Ids(Search("c", query, kLimit).hits[0]));

  DropFromPageCache(File());
  result = engine_->Search(request);
  if (result.ok()) GTEST_SKIP() << "the temporary folder's file system has no page cache to drop";
  EXPECT_TRUE(MustWait(result.status())) << result.status();
  // For a while others are not tried in vain.
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kSlow);
  request.may_wait = true;
  result = engine_->Search(request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Ids(result->hits[0]), Ids(Search("c", query, kLimit).hits[0]));
  int slow = 1;
  while (slow < 1'000 && engine_->PaceOf(request) == SearchPace::kSlow) ++slow;
  EXPECT_EQ(slow, 100);
}

TEST_F(EngineRowFile, WhatIsNotInTheFileMustBeWaitedFor) {
  CreateTrained();
  Close();
  std::filesystem::resize_file(File(), 4096);
  Open();
  SearchRequest request;
  request.collection = "c";
  const Matrix query = ClusteredRows(1, kDimension, 4);
  request.vectors = FloatView(query);
  request.may_wait = false;
  EXPECT_TRUE(MustWait(engine_->Search(request).status()));
}

TEST_F(EngineRowFile, SearchesReadItAndNotTheStore) {
  CreateTrained();
  EXPECT_EQ(CheckedSearches(2), 0u);
  Reopen();
  EXPECT_EQ(CheckedSearches(2), 0u);
  EXPECT_GE(engine_->GetCollection("c")->disk_bytes, kPoints * kDimension * sizeof(float));
}

TEST_F(EngineRowFile, VectorsInMemoryHaveNone) {
  Create("c", kDimension);
  EXPECT_FALSE(std::filesystem::exists(File()));
}

TEST_F(EngineRowFile, WithoutAFolderTheStoreIsRead) {
  Close();
  engine_options_.row_path.clear();
  Open();
  CreateTrained();
  EXPECT_GT(CheckedSearches(2), 0u);
}

TEST_F(EngineRowFile, SlotsThatAreGivenAgainHaveTheirNewRows) {
  CreateTrained();
  std::mt19937 random(5);
  for (uint32_t round = 0; round < 30; ++round) {
    const uint64_t first = random() % kPoints;
    Put(first, ClusteredRows(1 + random() % 100, kDimension, 100 + round));
    std::vector<uint64_t> gone;
    for (const auto& [id, vector] : vectors_) {
      if (random() % 20 == 0) gone.push_back(id);
    }
    if (!gone.empty()) Remove(gone);
    EXPECT_EQ(CheckedSearches(200 + round), 0u);
    if (round % 10 == 9) Reopen();
  }
  EXPECT_EQ(CheckedSearches(2), 0u);
}

TEST_F(EngineRowFile, AFileThatIsGoneIsMadeAnew) {
  CreateTrained();
  Close();
  std::filesystem::remove(File());
  Open();
  AwaitFilled();
  Reopen();
  EXPECT_EQ(CheckedSearches(2), 0u);
}

// What a kill leaves is what the kernel has: nothing has been closed.
TEST_F(EngineRowFile, AKillLeavesItWhole) {
  CreateTrained();
  const std::string killed = directory_ + "/killed.rows";
  const std::function<void()> writes[] = {
      [&] { Put(20, ClusteredRows(50, kDimension, 11)); },
      [&] {
        Remove({1, 2, 3, 500});
      },
      [&] {
        HasId condition;
        for (uint64_t id = 100; id < 400; ++id) {
          condition.ids.emplace_back(id);
          vectors_.erase(id);
        }
        Filter filter;
        filter.must.push_back({condition});
        ASSERT_TRUE(engine_->DeleteByFilter("c", filter, {}).ok());
      },
  };
  for (const auto& write : writes) {
    write();
    std::filesystem::copy_file(File(), killed, std::filesystem::copy_options::overwrite_existing);
    Close();
    std::filesystem::copy_file(killed, File(), std::filesystem::copy_options::overwrite_existing);
    Open();
    CheckedSearches(2);
  }
  Close();
  EXPECT_EQ(filled_, 0u);
}

// What comes after a write that failed must not take the row of its point, which may be there after
// a kill.
TEST_F(EngineRowFile, AWriteThatFailedAndIsInTheLogKeepsItsRow) {
  CreateTrained();
  AwaitFilled();
  const Matrix lost = ClusteredRows(1, kDimension, 21);
  fails_ = true;
  EXPECT_TRUE(absl::IsUnavailable(UpsertRows("c", 5'000, lost).status()));
  for (uint64_t id : {6'000, 6'001}) {
    EXPECT_TRUE(
        absl::IsFailedPrecondition(UpsertRows("c", id, ClusteredRows(1, kDimension, 22)).status()));
  }
  EXPECT_TRUE(
      absl::IsFailedPrecondition(engine_->DeletePoints("c", {PointId(uint64_t{3})}, {}).status()));
  const std::string killed = directory_ + "/killed.rows";
  std::filesystem::copy_file(File(), killed);
  engine_->Close().IgnoreError();
  engine_.reset();
  std::filesystem::copy_file(killed, File(), std::filesystem::copy_options::overwrite_existing);
  Open();
  vectors_[5'000] = {lost.data(), lost.data() + kDimension};
  CheckedSearches(2);
  const SearchResult found = Search("c", lost, 1);
  EXPECT_EQ(Ids(found.hits[0]), std::vector<uint64_t>{5'000});
  EXPECT_NEAR(found.hits[0][0].score, 0, 1e-6);
}

// As after a power cut, when a backup of one and not the other is put back, or an older server has
// been at the store.
TEST_F(EngineRowFile, AFileOfAnotherStateIsMadeAnew) {
  CreateTrained();
  Close();
  const std::string old = directory_ + "/old.rows";
  std::filesystem::copy_file(File(), old);
  Open();
  // All slots change hands.
  for (int life = 0; life < 3; ++life) Put(0, ClusteredRows(kPoints, kDimension, 10 + life));
  EXPECT_EQ(CheckedSearches(2), 0u);
  Close();
  std::filesystem::copy_file(old, File(), std::filesystem::copy_options::overwrite_existing);
  Open();
  CheckedSearches(2);
  AwaitFilled();
}

TEST_F(EngineRowFile, WritesBesideTheFillingStay) {
  CreateTrained();
  for (uint32_t round = 0; round < 5; ++round) {
    Close();
    std::filesystem::remove(File());
    Open();
    for (uint32_t i = 0; i < 20; ++i) {
      Put((round * 20 + i) * 9 % kPoints, ClusteredRows(30, kDimension, 1'000 + round * 20 + i));
    }
    CheckedSearches(2 + round);
    AwaitFilled();
  }
}

TEST_F(EngineRowFile, TheStoreAnswersForDamagedRows) {
  CreateTrained();
  Close();
  {
    std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
    for (size_t i = 0; i < kPoints; i += 2) {
      file.seekp(static_cast<std::streamoff>(4096 + i * (kDimension * sizeof(float) + 4) + i % 60));
      file << "damage";
    }
  }
  Open();
  EXPECT_GT(CheckedSearches(2), 0u);
}

TEST_F(EngineRowFile, GoesWithItsCollection) {
  CreateTrained();
  EXPECT_TRUE(std::filesystem::exists(File()));
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  EXPECT_FALSE(std::filesystem::exists(File()));
}

TEST_F(EngineRowFile, AStartRemovesFilesOfCollectionsThatAreGone) {
  CreateTrained();
  Close();
  std::filesystem::copy_file(File(), File(99));
  Open();
  EXPECT_FALSE(std::filesystem::exists(File(99)));
  EXPECT_EQ(CheckedSearches(2), 0u);
}

TEST_F(EngineRowFile, ADiskThatIsNearlyFullGetsItsRoomBack) {
  Close();
  engine_options_.free_disk_bytes_min = uint64_t{1} << 60;
  Open();
  CreateTrained();
  EXPECT_FALSE(std::filesystem::exists(File()));
  EXPECT_GT(CheckedSearches(2), 0u);
  Close();
  engine_options_.free_disk_bytes_min = 0;
  Open();
  AwaitFilled();
}

}  // namespace
}  // namespace tessera
