// What payload indexes hold is stored: a start reads it and only the payloads of what was written
// since, and makes it anew from all payloads where it is missing or damaged.
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/crc32c.h"
#include "server/engine/records.h"
#include "server/fsck/fsck.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/store_wrapper.h"
#include "tests/server/filter/filter_test_util.h"

namespace tessera {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kPoints = 3'000;
constexpr uint32_t kId = 1;  // of the collection

// Counts how points are read. Takes no writes while it is full.
class CountingStore final : public StoreWrapper {
 public:
  struct Counts {
    std::atomic<uint64_t> walks{0};  // of all points
    std::atomic<uint64_t> reads{0};  // of points one by one
  };
  CountingStore(std::unique_ptr<Store> store, Counts& counts, const std::atomic<bool>& full)
      : StoreWrapper(std::move(store)), counts_(counts), full_(full) {}

  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    if (full_) return absl::ResourceExhaustedError("the disk is full");
    return StoreWrapper::Commit(batch, durability);
  }

  absl::Status MultiGet(Family family, std::span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values) override {
    if (family == Family::kPoints) counts_.reads += keys.size();
    return StoreWrapper::MultiGet(family, keys, values);
  }
  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      bool bulk) override {
    if (family == Family::kPoints && bulk) ++counts_.walks;
    return StoreWrapper::Scan(family, begin, end, bulk);
  }

 private:
  Counts& counts_;
  const std::atomic<bool>& full_;
};

// With vectors on disk and a codebook, a start reads points for nothing but their payloads.
class EngineIndexContents : public EngineFixture {
 protected:
  void SetUp() override {
    engine_options_.log = [this](std::string_view message) { log_.emplace_back(message); };
    EngineFixture::SetUp();
    // The copy of vectors walks through the points too, where it must be filled.
    engine_options_.row_path.clear();
    Reopen();
    Create("c", 4, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDisk);
    Write(0, kPoints, 0);
    Train("c", 8);
  }
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<CountingStore>(std::move(store), counts_, full_);
  }

  // Points [begin, end), whose payloads say the id and the round.
  void Write(uint64_t begin, uint64_t end, int round) {
    UpsertBatch batch;
    const Matrix rows = ClusteredRows(end - begin, 4, static_cast<uint32_t>(round + 1));
    for (uint64_t id = begin; id < end; ++id) {
      batch.ids.push_back(PointId(id));
      batch.payloads.push_back(absl::StrCat(R"({"n":)", id, R"(,"k":"k)", id % 7, R"(","r":)",
                                            round, id % 100 == 0 ? R"(,"x":null})" : "}"));
    }
    batch.vectors = FloatView(rows);
    const auto result = engine_->Upsert("c", batch);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  void Delete(uint64_t begin, uint64_t end) {
    std::vector<PointId> ids;
    for (uint64_t id = begin; id < end; ++id) ids.push_back(PointId(id));
    ASSERT_TRUE(engine_->DeletePoints("c", ids, {}).ok());
  }
  void IndexAll() {
    Index("n", PayloadIndexType::kInteger);
    Index("k", PayloadIndexType::kKeyword);
    Index("r", PayloadIndexType::kFloat);
    Index("x", PayloadIndexType::kBool);
  }
  uint64_t Count(const Filter& filter, const std::string& collection = "c") {
    const auto count = engine_->CountPoints(collection, filter);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(~uint64_t{0});
  }
  static Filter AtLeast(const std::string& key, double least) {
    return Must({Where(key, NumberRange{{.gte = Number{least}}})});
  }

  // Begins to count.
  void ReopenAndCount(const std::function<void()>& meanwhile = [] {}) {
    ASSERT_TRUE(engine_->Close().ok());
    engine_.reset();
    meanwhile();
    log_.clear();
    counts_.walks = 0;
    counts_.reads = 0;
    Open();
  }
  // The store as a kill now would leave it takes the store's place.
  void Kill() {
    ASSERT_TRUE(store_->Checkpoint(directory_ + "/copy").ok());
    ReopenAndCount([this] {
      std::filesystem::remove_all(directory_ + "/store");
      std::filesystem::rename(directory_ + "/copy", directory_ + "/store");
    });
  }
  // Changes the store while no engine has it open.
  void ChangeStore(const std::function<void(Store&, StoreBatch&)>& change) {
    auto store = OpenRocksDbStore({.path = directory_ + "/store"});
    ASSERT_TRUE(store.ok()) << store.status();
    auto batch = (*store)->NewBatch();
    change(**store, *batch);
    ASSERT_TRUE((*store)->Commit(*batch, Durability::kSync).ok());
    ASSERT_TRUE((*store)->Close().ok());
  }
  static std::vector<std::pair<std::string, std::string>> Records(Store& store,
                                                                  const KeyRange& range) {
    std::vector<std::pair<std::string, std::string>> records;
    auto it = store.Scan(Family::kMeta, range.begin, range.end, false);
    for (; it->Valid(); it->Next()) records.emplace_back(it->key(), it->value());
    return records;
  }
  using Change = std::function<void(Store&, StoreBatch&)>;
  // Kinds of damage, and changes by which what is stored does not fit any more.
  static std::vector<std::pair<std::string, Change>> Damages() {
    const auto flip = [](std::string value) {
      value[value.size() / 2] = static_cast<char>(value[value.size() / 2] ^ 1);
      return value;
    };
    const KeyRange parts = IndexPartRange(kId);
    const KeyRange changes = IndexChangesRange(kId);
    const auto flip_in = [&](const KeyRange& range) -> Change {
      return [=](Store& store, StoreBatch& batch) {
        const auto records = Records(store, range);
        ASSERT_FALSE(records.empty());
        const auto& [key, value] = records[records.size() / 2];
        batch.Put(Family::kMeta, key, flip(value));
      };
    };
    const auto remove_in = [&](const KeyRange& range) -> Change {
      return [=](Store& store, StoreBatch& batch) {
        const auto records = Records(store, range);
        ASSERT_FALSE(records.empty());
        batch.Delete(Family::kMeta, records[records.size() / 2].first);
      };
    };
    return {{"a part is damaged", flip_in(parts)},
            {"a part is missing", remove_in(parts)},
            {"changes are damaged", flip_in(changes)},
            {"changes are missing", remove_in(changes)},
            {"the contents are damaged", flip_in(KindOfMetaKey(IndexContentsKey(kId)))},
            {"writes that say no changes",
             [](Store& store, StoreBatch& batch) {
               const std::string key = CounterKey(kId);
               CounterRecord counter;
               ASSERT_TRUE(DecodeCounter(key, **store.Get(Family::kMeta, key), &counter).ok());
               ++counter.sequence;
               std::string value;
               EncodeCounter(key, counter, &value);
               batch.Put(Family::kMeta, key, value);
             }},
            {"contents of other points", [](Store& store, StoreBatch& batch) {
               // Made to fit in all else.
               const auto records = Records(store, IndexPartRange(kId));
               std::string value;
               EncodeIndexPart(records[0].first, std::string_view("\x01\x00", 2), &value);
               batch.Put(Family::kMeta, records[0].first, value);
               EncodeIndexPart(records[1].first, std::string_view("\x02\x00", 2), &value);
               batch.Put(Family::kMeta, records[1].first, value);
               EncodeIndexPart(records[2].first, std::string_view("\x03\x00", 2), &value);
               batch.Put(Family::kMeta, records[2].first, value);
             }}};
  }

  void ExpectSound() {
    const auto report = CheckDataDirectory(directory_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
  }

  CountingStore::Counts counts_;
  std::atomic<bool> full_{false};
  std::vector<std::string> log_;
};

TEST_F(EngineIndexContents, AStartReadsOnlyThePayloadsOfWhatWasWrittenSince) {
  IndexAll();
  ReopenAndCount([this] { ExpectSound(); });
  EXPECT_EQ(counts_.walks, 0u);
  EXPECT_EQ(counts_.reads, 0u);
  EXPECT_EQ(Count(AtLeast("n", 100)), kPoints - 100);
  EXPECT_EQ(Count(Must({Where("x", Presence::kIsNull)})), kPoints / 100);

  Write(0, 10, 1);       // ten slots die, ten are given
  Delete(2'000, 2'005);  // five die
  Write(5'000, 5'001, 1);
  for (int i = 0; i < 2; ++i) {
    ReopenAndCount([this] { ExpectSound(); });
    EXPECT_EQ(counts_.walks, 0u);
    EXPECT_EQ(counts_.reads, 26u);
    EXPECT_EQ(Count(AtLeast("r", 1)), 11u);
    EXPECT_EQ(Count(AtLeast("n", 2'000)), kPoints - 2'000 - 5 + 1);
    EXPECT_THAT(log_, Not(Contains(HasSubstr("of no use"))));
  }
}

TEST_F(EngineIndexContents, ManyChangesAreStoredAgain) {
  IndexAll();
  ReopenAndCount();
  Write(0, 600, 1);  // 1,200 slots are touched
  ReopenAndCount([this] { ExpectSound(); });
  EXPECT_EQ(counts_.reads, 0u);
  EXPECT_EQ(Count(AtLeast("r", 1)), 600u);
  ReopenAndCount([this] {
    ChangeStore([](Store& store, StoreBatch&) {
      EXPECT_TRUE(Records(store, IndexChangesRange(kId)).empty());
      EXPECT_EQ(Records(store, IndexPartRange(kId)).size(), 15u) << "nothing old";
    });
  });
}

TEST_F(EngineIndexContents, AKillLosesNothing) {
  IndexAll();
  ReopenAndCount();
  for (int round = 1; round < 6; ++round) {
    Write(10 * round, 10 * round + 30, round);
    Delete(1'000 + 10 * round, 1'005 + 10 * round);
    const uint64_t latest = Count(AtLeast("r", round));
    const uint64_t all = Count(AtLeast("n", 0));
    Kill();
    EXPECT_EQ(counts_.walks, 0u);
    EXPECT_GT(counts_.reads, 0u);
    EXPECT_EQ(Count(AtLeast("r", round)), latest);
    EXPECT_EQ(latest, 30u);
    EXPECT_EQ(Count(AtLeast("n", 0)), all);
  }
}

// An index of before the last store, and one of after it.
TEST_F(EngineIndexContents, IndexesComeAndGo) {
  Index("n", PayloadIndexType::kInteger);
  ReopenAndCount();
  Index("k", PayloadIndexType::kKeyword);
  Kill();  // perhaps before the new one is stored
  EXPECT_LE(counts_.walks, 1u);
  EXPECT_EQ(Count(Must({Where("k", Keywords({"k3"}))})), 429u);
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "n").ok());
  Index("n", PayloadIndexType::kKeyword);
  ReopenAndCount([this] { ExpectSound(); });
  EXPECT_EQ(counts_.walks, 0u);
  EXPECT_EQ(Count(AtLeast("n", 100)), kPoints - 100);
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "n").ok());
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "k").ok());
  ReopenAndCount([this] {
    ChangeStore([](Store& store, StoreBatch&) {
      EXPECT_TRUE(Records(store, IndexPartRange(kId)).empty());
      EXPECT_FALSE(*store.Get(Family::kMeta, IndexContentsKey(kId)));
    });
  });
  Write(0, 10, 1);
  IndexAll();
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  ReopenAndCount();
  ReopenAndCount([this] {
    ChangeStore([](Store& store, StoreBatch&) {
      EXPECT_TRUE(Records(store, IndexPartRange(kId)).empty());
      EXPECT_TRUE(Records(store, IndexChangesRange(kId)).empty());
      EXPECT_FALSE(*store.Get(Family::kMeta, IndexContentsKey(kId)));
    });
  });
}

TEST_F(EngineIndexContents, ARestoreTakesThemAlong) {
  engine_options_.snapshot_path = directory_ + "/snapshots";
  engine_options_.row_path.clear();  // filling it after a restore would walk the points, too
  engine_options_.version = "test";
  IndexAll();
  ReopenAndCount();
  Write(0, 10, 1);
  const auto snapshot = Await(engine_->snapshots().Create("c"));
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  ASSERT_EQ(snapshot->state, OperationState::kSucceeded) << snapshot->error;
  counts_.walks = 0;
  counts_.reads = 0;
  const auto restored = Await(
      engine_->snapshots().Restore({.snapshot_id = snapshot->snapshot_id, .collection = "d"}));
  ASSERT_TRUE(restored.ok()) << restored.status();
  ASSERT_EQ(restored->state, OperationState::kSucceeded) << restored->error;
  EXPECT_EQ(counts_.walks, 0u);
  EXPECT_EQ(counts_.reads, 20u);
  EXPECT_EQ(Count(AtLeast("r", 1), "d"), 10u);
  EXPECT_EQ(Count(AtLeast("n", 100), "d"), kPoints - 100);
  ReopenAndCount([this] { ExpectSound(); });
  EXPECT_EQ(counts_.walks, 0u);
}

// As a version that does not store them leaves it.
TEST_F(EngineIndexContents, AStoreWithoutContentsGetsThem) {
  IndexAll();
  ReopenAndCount([this] {
    ChangeStore([](Store&, StoreBatch& batch) {
      batch.Delete(Family::kMeta, IndexContentsKey(kId));
      batch.DeleteRange(Family::kMeta, IndexPartRange(kId).begin, IndexPartRange(kId).end);
    });
    ExpectSound();
  });
  EXPECT_EQ(counts_.walks, 1u) << "all indexes in one walk";
  EXPECT_EQ(Count(AtLeast("n", 100)), kPoints - 100);
  ReopenAndCount();
  EXPECT_EQ(counts_.walks, 0u);
}

TEST_F(EngineIndexContents, WhatIsDamagedIsMadeAnew) {
  IndexAll();
  ReopenAndCount();
  int round = 0;
  for (const auto& [name, change] : Damages()) {
    SCOPED_TRACE(name);
    for (int i = 0; i < 3; ++i) {
      ++round;
      Write(20 * round, 20 * round + 5, round);
    }
    ReopenAndCount([&] {
      ChangeStore(change);
      const auto report = CheckDataDirectory(directory_, nullptr);
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_FALSE(report->ok()) << "fsck sees it";
    });
    EXPECT_GE(counts_.walks, 1u);
    EXPECT_THAT(log_, Contains(HasSubstr("payload index")));
    EXPECT_EQ(Count(AtLeast("n", 100)), kPoints - 100);
    EXPECT_EQ(Count(AtLeast("r", round)), 5u);
    EXPECT_EQ(Count(Must({Where("x", Presence::kIsNull)})), kPoints / 100);
    ReopenAndCount([this] { ExpectSound(); });
    EXPECT_EQ(counts_.walks, 0u) << "it is stored again";
    EXPECT_EQ(Count(AtLeast("r", round)), 5u);
  }
}

TEST_F(EngineIndexContents, AnIndexOfArraysInArraysIsThatOfTheField) {
  UpsertBatch batch;
  batch.ids = {PointId(uint64_t{0})};
  batch.payloads = {R"({"t":[[3]]})"};
  const Matrix row = ClusteredRows(1, 4, 1);
  batch.vectors = FloatView(row);
  ASSERT_TRUE(engine_->Upsert("c", batch).ok());
  Index("t[][]", PayloadIndexType::kInteger);
  const Filter filter = Must(Where("t", Integers({3})));
  EXPECT_EQ(Count(filter), 1u);
  ReopenAndCount();
  EXPECT_EQ(Count(filter), 1u);
  EXPECT_EQ(engine_->GetCollection("c")->payload_indexes.size(), 1u);
  EXPECT_TRUE(engine_->DropPayloadIndex("c", "t[][]").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      engine_->CreatePayloadIndex("c", {FieldPath("[][]"), PayloadIndexType::kInteger}).status()));
}

// "k[][]" was kept as the key "k[]" once, which is that of the field k when it is read, and "[][]"
// as that of none.
TEST_F(EngineIndexContents, AnIndexOfNoFieldIsDropped) {
  Index("k", PayloadIndexType::kKeyword);
  const Filter filter = Must(Where("k", Keywords({"k3"})));
  const uint64_t matching = Count(filter);
  ASSERT_GT(matching, 0u);
  ReopenAndCount([this] {
    ChangeStore([](Store&, StoreBatch& batch) {
      for (const char* text : {"k[]", "[]"}) {
        const std::string key = PayloadIndexKey(kId, text);
        std::string value;
        EncodePayloadIndex(key, PayloadIndexType::kInteger, &value);
        batch.Put(Family::kMeta, key, value);
      }
    });
    const auto report = CheckDataDirectory(directory_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0].what;
    full_ = true;
  });
  EXPECT_EQ(Count(filter), matching) << "what cannot be dropped is passed over";
  ReopenAndCount([this] { full_ = false; });
  EXPECT_THAT(log_, Contains(HasSubstr("index of \"k[]\"")));
  EXPECT_THAT(log_, Contains(HasSubstr("index of \"[]\"")));
  EXPECT_EQ(engine_->GetCollection("c")->payload_indexes.size(), 1u);
  EXPECT_EQ(Count(filter), matching);
  Write(0, kPoints, 1);  // so much that what indexes hold is stored anew
  ReopenAndCount();
  EXPECT_THAT(log_, Not(Contains(HasSubstr("is dropped"))));
  EXPECT_EQ(Count(filter), matching);
}

}  // namespace
}  // namespace tessera
