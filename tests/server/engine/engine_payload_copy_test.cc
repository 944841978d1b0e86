// The copy of payloads beside the store.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "server/storage/row_file.h"
#include "tests/server/engine/counting_store.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/storage/page_cache.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 16;
constexpr size_t kPoints = 1'000;
constexpr size_t kLimit = 10;

class EnginePayloadCopy : public EngineFixture {
 protected:
  EnginePayloadCopy() {
    engine_options_.deletion_step_points = 50;
    engine_options_.log = [this](std::string_view line) {
      filled_ += line.ends_with("the copy of its payloads is complete");
      given_up_ += line.find("1.payloads is given up") != std::string_view::npos;
    };
  }

  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<CountingStore>(std::move(store), reads_);
  }

  // A trained collection "c" of kPoints with payloads.
  void CreateTrained(VectorPlacement placement = VectorPlacement::kMemory) {
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, placement);
    Put(0, kPoints, 1);
    Train("c", 8);
  }
  void Put(uint64_t first_id, size_t count, uint32_t seed, size_t length = 0) {
    const Matrix rows = ClusteredRows(count, kDimension, seed);
    UpsertBatch batch;
    batch.vectors = FloatView(rows);
    for (size_t i = 0; i < count; ++i) {
      const uint64_t id = first_id + i;
      batch.ids.emplace_back(id);
      std::string payload = absl::StrCat("{\"of\":", id, ",\"since\":", seed, "}");
      if (length > 0) payload = absl::StrCat("{\"long\":\"", std::string(length, 'x'), "\"}");
      batch.payloads.push_back(payload);
      payloads_[id] = payload;
      const auto row = rows.row(i);
      vectors_[id] = {reinterpret_cast<const char*>(row.data()), row.size_bytes()};
    }
    ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  }
  void Remove(const std::vector<uint64_t>& ids) {
    ASSERT_TRUE(engine_->DeletePoints("c", {ids.begin(), ids.end()}, {}).ok());
    for (uint64_t id : ids) payloads_.erase(id);
  }

  SearchRequest Request(const Matrix& queries) const {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries);
    request.limit = kLimit;
    request.nprobe = 8;
    request.fields.payload.enabled = true;
    return request;
  }
  // Answers hold the payloads, and the vectors if they are asked for, that were written last. How
  // many records were read from the store for it.
  size_t CheckedSearches(uint32_t seed, bool vectors = false) {
    const size_t before = reads_;
    const Matrix queries = ClusteredRows(20, kDimension, seed);
    SearchRequest request = Request(queries);
    request.fields.vector = vectors;
    const auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return 0;
    for (const std::vector<Hit>& hits : result->hits) {
      EXPECT_EQ(hits.size(), std::min(kLimit, payloads_.size()));
      for (const Hit& hit : hits) {
        const uint64_t id = std::get<uint64_t>(hit.id);
        EXPECT_EQ(hit.payload, payloads_.contains(id) ? payloads_.at(id) : "no such point");
        if (vectors) {
          EXPECT_TRUE(hit.vector == vectors_.at(id)) << id;
        }
      }
    }
    return reads_ - before;
  }
  // Until the searches need the store no more.
  void AwaitCopy() {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (CheckedSearches(3) > 0) {
      ASSERT_LT(absl::Now(), deadline) << "there is no copy";
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
  std::string File(int collection = 1) const {
    return absl::StrCat(directory_, "/rows/", collection, ".payloads");
  }
  void Close() {
    ASSERT_TRUE(engine_->Close().ok());
    engine_.reset();
  }

  std::atomic<size_t> reads_{0};
  std::atomic<size_t> filled_{0};  // copies that have been made, or made anew
  std::atomic<size_t> given_up_{0};
  std::map<uint64_t, std::string> payloads_;
  std::map<uint64_t, std::string> vectors_;
};

TEST_F(EnginePayloadCopy, IsMadeOnceSearchesAskForPayloads) {
  CreateTrained();
  Search("c", ClusteredRows(200, kDimension, 2), kLimit);
  EXPECT_FALSE(std::filesystem::exists(File()));
  AwaitCopy();
  EXPECT_TRUE(std::filesystem::exists(File()));
  EXPECT_EQ(CheckedSearches(4), 0u);
  EXPECT_GE(engine_->GetCollection("c")->disk_bytes, kPoints * 32);
  Reopen();
  EXPECT_EQ(CheckedSearches(4), 0u);
  EXPECT_EQ(filled_, 1u);
}

TEST_F(EnginePayloadCopy, ChosenFieldsComeFromItToo) {
  CreateTrained();
  AwaitCopy();
  const Matrix query = ClusteredRows(1, kDimension, 4);
  SearchRequest request = Request(query);
  request.fields.payload.include = {FieldPath("of")};
  const size_t before = reads_;
  const auto result = engine_->Search(request);
  ASSERT_TRUE(result.ok()) << result.status();
  for (const Hit& hit : result->hits[0]) {
    EXPECT_EQ(hit.payload, absl::StrCat("{\"of\":", std::get<uint64_t>(hit.id), "}"));
  }
  EXPECT_EQ(reads_, before);
}

TEST_F(EnginePayloadCopy, VectorsComeFromMemoryOrTheirCopy) {
  for (VectorPlacement placement : {VectorPlacement::kMemory, VectorPlacement::kDisk}) {
    CreateTrained(placement);
    AwaitCopy();
    EXPECT_EQ(CheckedSearches(2, /*vectors=*/true), 0u);
    ASSERT_TRUE(engine_->DeleteCollection("c").ok());
    payloads_.clear();
    filled_ = 0;
  }
}

TEST_F(EnginePayloadCopy, ASearchOfTheCacheNeedNotWait) {
  CreateTrained();
  const Matrix query = ClusteredRows(1, kDimension, 4);
  SearchRequest request = Request(query);
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kSlow);
  AwaitCopy();
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kQuickIfCached);
  request.may_wait = false;
  const auto quick = engine_->Search(request);
  ASSERT_TRUE(quick.ok()) << quick.status();
  for (const Hit& hit : quick->hits[0]) {
    EXPECT_EQ(hit.payload, payloads_.at(std::get<uint64_t>(hit.id)));
  }
  request.fields.payload.enabled = false;
  request.fields.vector = true;
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kQuick);
  request.fields.payload.enabled = true;

  DropFromPageCache(File());
  const auto result = engine_->Search(request);
  if (result.ok()) GTEST_SKIP() << "the temporary folder's file system has no page cache to drop";
  EXPECT_TRUE(MustWait(result.status())) << result.status();
  EXPECT_EQ(engine_->PaceOf(request), SearchPace::kSlow);
  EXPECT_EQ(CheckedSearches(4), 0u);
}

TEST_F(EnginePayloadCopy, PayloadsThatAreTooLongComeFromTheStore) {
  CreateTrained();
  AwaitCopy();
  Put(100, 50, 9, /*length=*/300);
  EXPECT_GT(CheckedSearches(9), 0u);
  const Matrix query = ClusteredRows(50, kDimension, 9);
  SearchRequest request = Request(query);
  request.may_wait = false;
  EXPECT_TRUE(MustWait(engine_->Search(request).status()));
}

TEST_F(EnginePayloadCopy, IsNotMadeOfLongPayloads) {
  CreateTrained();
  Put(0, kPoints, 1, limits::kCopiedPayloadBytesMax);
  for (uint32_t seed = 0; seed < 20; ++seed) EXPECT_GT(CheckedSearches(seed), 0u);
  EXPECT_FALSE(std::filesystem::exists(File()));
}

TEST_F(EnginePayloadCopy, SlotsThatAreGivenAgainHaveTheirNewPayloads) {
  CreateTrained();
  AwaitCopy();
  std::mt19937 random(5);
  for (uint32_t round = 0; round < 30; ++round) {
    Put(random() % kPoints, 1 + random() % 100, 100 + round);
    std::vector<uint64_t> gone;
    for (const auto& [id, payload] : payloads_) {
      if (random() % 20 == 0) gone.push_back(id);
    }
    if (!gone.empty()) Remove(gone);
    EXPECT_EQ(CheckedSearches(200 + round), 0u);
    if (round % 10 == 9) Reopen();
  }
  // And those that lose them.
  const Matrix rows = ClusteredRows(100, kDimension, 77);
  ASSERT_TRUE(UpsertRows("c", 0, rows).ok());
  for (uint64_t id = 0; id < 100; ++id) payloads_[id] = "";
  EXPECT_EQ(CheckedSearches(77), 0u);
  Close();
  EXPECT_EQ(filled_, 1u);
}

TEST_F(EnginePayloadCopy, WritesBesideTheFillingStay) {
  CreateTrained();
  AwaitCopy();
  for (uint32_t round = 0; round < 5; ++round) {
    Close();
    std::filesystem::resize_file(File(), 4096);
    {
      // The head says that rows are of another state.
      std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(40);
      file << "another system's start";
    }
    Open();
    for (uint32_t i = 0; i < 20; ++i) {
      Put((round * 20 + i) * 9 % kPoints, 30, 1'000 + round * 20 + i);
    }
    CheckedSearches(2 + round);
    for (int i = 0; i < 60; ++i) CheckedSearches(3);
    AwaitCopy();
  }
}

// What a kill leaves is what the kernel has: nothing has been closed.
TEST_F(EnginePayloadCopy, AKillLeavesItWhole) {
  CreateTrained();
  AwaitCopy();
  const std::string killed = directory_ + "/killed.payloads";
  for (uint32_t life = 0; life < 3; ++life) {
    Put(20, 50, 11 + life);
    Remove({1 + life, 500 + life});
    std::filesystem::copy_file(File(), killed, std::filesystem::copy_options::overwrite_existing);
    Close();
    std::filesystem::copy_file(killed, File(), std::filesystem::copy_options::overwrite_existing);
    Open();
    EXPECT_EQ(CheckedSearches(2), 0u);
  }
  Close();
  EXPECT_EQ(filled_, 1u);
}

// As after a power cut, or when an older server has been at the store.
TEST_F(EnginePayloadCopy, ACopyOfAnotherStateIsMadeAnew) {
  CreateTrained();
  AwaitCopy();
  Close();
  const std::string old = directory_ + "/old.payloads";
  std::filesystem::copy_file(File(), old);
  Open();
  for (uint32_t life = 0; life < 3; ++life) Put(0, kPoints, 10 + life);
  EXPECT_EQ(CheckedSearches(2), 0u);
  Close();
  std::filesystem::copy_file(old, File(), std::filesystem::copy_options::overwrite_existing);
  Open();
  AwaitCopy();
  Close();
  EXPECT_EQ(filled_, 2u);
}

TEST_F(EnginePayloadCopy, TheStoreAnswersForDamagedRows) {
  CreateTrained();
  AwaitCopy();
  Close();
  {
    std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(File()));
    for (std::streamoff at = 4096 + 5; at + 6 < size; at += 70) {
      file.seekp(at);
      file << "damage";
    }
  }
  Open();
  EXPECT_GT(CheckedSearches(2), 0u);
}

TEST_F(EnginePayloadCopy, AFileOfRowsThatCannotBeIsLeftAlone) {
  CreateTrained();
  Close();
  std::filesystem::create_directories(directory_ + "/rows");
  {
    RowFileOptions options;
    options.path = File();
    options.collection = 1;
    options.row_bytes = 1;
    ASSERT_TRUE(RowFile::Open(options, /*sequence=*/0).ok());
  }
  Open();
  EXPECT_GT(CheckedSearches(2), 0u);
  AwaitCopy();
}

TEST_F(EnginePayloadCopy, GoesWithItsCollection) {
  CreateTrained();
  AwaitCopy();
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  EXPECT_FALSE(std::filesystem::exists(File()));
}

TEST_F(EnginePayloadCopy, AStartRemovesCopiesOfCollectionsThatAreGone) {
  CreateTrained();
  AwaitCopy();
  Close();
  std::filesystem::copy_file(File(), File(99));
  Open();
  EXPECT_FALSE(std::filesystem::exists(File(99)));
  EXPECT_EQ(CheckedSearches(2), 0u);
}

TEST_F(EnginePayloadCopy, ADiskThatIsNearlyFullHasNone) {
  Close();
  engine_options_.free_disk_bytes_min = uint64_t{1} << 60;
  Open();
  CreateTrained();
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  for (uint32_t seed = 0; given_up_ == 0; ++seed) {
    EXPECT_GT(CheckedSearches(seed), 0u);
    ASSERT_LT(absl::Now(), deadline) << "nobody has tried";
  }
  EXPECT_FALSE(std::filesystem::exists(File()));
  EXPECT_GT(CheckedSearches(2), 0u);
}

}  // namespace
}  // namespace tessera
