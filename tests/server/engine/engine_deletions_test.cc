// A deletion by filter of many points is one commit: all of them are gone at once, whatever is left
// of their records, and whatever happens until those are removed.
#include <map>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/engine/records.h"
#include "server/fsck/fsck.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/sweep_holder.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kDimension = 8;
constexpr uint64_t kPoints = 1'200;  // more than the table of slots begins with
constexpr uint64_t kStep = 50;
constexpr int kNoEnd = 1 << 30;

Filter Equals(const std::string& key, int64_t value) {
  Filter filter;
  filter.must.push_back({FieldCondition{FieldPath(key), Match{.integers = {value}}}});
  return filter;
}

struct Setting {
  VectorPlacement placement;
  bool trained;
  bool indexed;
};

// Point i has {"odd": i % 2, "n": i}. A deletion of the odd ones is large.
class EngineDeletionsTest : public EngineFixture, public testing::WithParamInterface<Setting> {
 protected:
  void SetUp() override {
    engine_options_.deletion_step_points = kStep;
    EngineFixture::SetUp();
    engine_options_.snapshot_path = directory_ + "/snapshots";
    Reopen();
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, GetParam().placement);
    rows_ = ClusteredRows(kPoints, kDimension, 3);
    std::vector<uint64_t> ids;
    for (uint64_t i = 0; i < kPoints; ++i) ids.push_back(i);
    Upsert(ids, 0);
    if (GetParam().trained) Train("c", 8);
    if (!GetParam().indexed) return;
    AddIndex("odd");
    AddIndex("n");
  }
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<SweepHolder>(std::move(store), steps_allowed_, &too_early_);
  }
  void TearDown() override {
    EngineFixture::TearDown();
    EXPECT_EQ(too_early_, 0) << "a power cut might leave the step and take what it follows on";
  }

  void AddIndex(const std::string& key) {
    const auto built =
        Await(engine_->CreatePayloadIndex("c", {FieldPath(key), PayloadIndexType::kInteger}));
    ASSERT_TRUE(built.ok()) << built.status();
    ASSERT_EQ(built->state, OperationState::kSucceeded) << built->error;
  }
  // `round` is in the payload, too. An upsert of a later round makes points even.
  absl::StatusOr<WriteResult> TryUpsert(const std::vector<uint64_t>& ids, int round,
                                        WriteCondition condition = WriteCondition::kNone) {
    UpsertBatch batch;
    batch.condition = condition;
    Matrix rows(ids.size(), kDimension);
    for (size_t i = 0; i < ids.size(); ++i) {
      batch.ids.emplace_back(ids[i]);
      std::copy_n(rows_.row(ids[i] % kPoints).data(), kDimension, rows.row(i).data());
      batch.payloads.push_back(Payload(ids[i], round));
    }
    batch.vectors = FloatView(rows);
    return engine_->Upsert("c", batch);
  }
  void Upsert(const std::vector<uint64_t>& ids, int round) {
    const auto written = TryUpsert(ids, round);
    ASSERT_TRUE(written.ok()) << written.status();
    for (uint64_t id : ids) expected_[id] = Payload(id, round);
  }
  static std::string Payload(uint64_t id, int round) {
    return absl::StrCat("{\"n\":", id, ",\"odd\":", round == 0 ? id % 2 : 0, ",\"round\":", round,
                        "}");
  }
  void DeleteOdd(const WriteOptions& options = {}) {
    const uint64_t sequence = engine_->GetCollection("c")->sequence;
    const auto deleted = engine_->DeleteByFilter("c", Equals("odd", 1), options);
    ASSERT_TRUE(deleted.ok()) << deleted.status();
    EXPECT_EQ(deleted->points, kPoints / 2);
    EXPECT_EQ(deleted->sequence, sequence + 1) << "it is one mutation";
    std::erase_if(expected_, [](const auto& point) { return point.first % 2 == 1; });
  }

  // Kills the server: the store stays as it is at this moment, and is whole.
  void KillAndRestart() {
    ASSERT_TRUE(store_->Checkpoint(directory_ + "/copy").ok());
    engine_.reset();
    fs::remove_all(directory_ + "/store");
    fs::rename(directory_ + "/copy", directory_ + "/store");
    ExpectClean();
    Open();
  }
  // Of a store that no server has open, with this many records that are to be removed.
  void ExpectClean() {
    const auto report = CheckDataDirectory(directory_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
    EXPECT_EQ(report->points, expected_.size());
    leftover_records_ = report->leftover_records;
  }

  size_t Records(Family family, const KeyRange& range) {
    size_t records = 0;
    auto it = store_->Scan(family, range.begin, range.end, /*bulk=*/false);
    for (; it->Valid(); it->Next()) ++records;
    EXPECT_TRUE(it->status().ok());
    return records;
  }
  size_t Deletions() { return Records(Family::kMeta, DeletionRange(1)); }
  std::map<uint64_t, Slot> Slots() {
    std::map<uint64_t, Slot> slots;
    const KeyRange range = CollectionRange(1);
    auto it = store_->Scan(Family::kIds, range.begin, range.end, /*bulk=*/false);
    for (; it->Valid(); it->Next()) {
      IdKeyParts parts;
      EXPECT_TRUE(ParseIdKey(it->key(), &parts).ok());
      EXPECT_TRUE(DecodeSlot(it->key(), it->value(), &slots[std::get<uint64_t>(parts.id)]).ok());
    }
    return slots;
  }
  void AwaitRemoval() {
    steps_allowed_ = kNoEnd;
    for (int i = 0; i < 1'000 && Deletions() > 0; ++i) absl::SleepFor(absl::Milliseconds(10));
    ASSERT_EQ(Deletions(), 0u);
    const KeyRange range = CollectionRange(1);
    EXPECT_EQ(Records(Family::kIds, range), expected_.size());
    EXPECT_EQ(Records(Family::kPoints, range), expected_.size());
    EXPECT_EQ(Records(Family::kCodes, range),
              engine_->GetCollection("c")->codebook_version != 0 ? expected_.size() : 0u);
  }

  // Every way to ask gives exactly the expected points.
  void ExpectThere(const std::string& name = "c") {
    EXPECT_EQ(engine_->GetCollection(name)->points, expected_.size());
    std::map<uint64_t, std::string> scrolled;
    std::string token;
    ElementType type;
    do {
      const auto page =
          engine_->ScrollPoints(name, 100, token, {}, {.payload = {.enabled = true}}, &type);
      ASSERT_TRUE(page.ok()) << page.status();
      if (!page->next_page_token.empty()) {
        EXPECT_EQ(page->points.size(), 100u);
      }
      for (const PointData& p : page->points) scrolled[std::get<uint64_t>(p.id)] = p.payload;
      token = page->next_page_token;
    } while (!token.empty());
    EXPECT_EQ(scrolled, expected_);
    std::vector<PointId> all;
    uint64_t odd = 0;
    for (uint64_t i = 0; i < kPoints; ++i) all.emplace_back(i);
    for (const auto& [id, payload] : expected_) odd += absl::StrContains(payload, "\"odd\":1");
    size_t known = 0;
    for (const auto& [id, payload] : expected_) known += id < kPoints;
    EXPECT_EQ(engine_->GetPoints(name, all, {}, &type)->size(), known);
    EXPECT_EQ(*engine_->CountPoints(name, Equals("odd", 1)), odd);
    EXPECT_EQ(*engine_->CountPoints(name, Equals("odd", 0)), expected_.size() - odd);
    Filter has_id;
    has_id.must.push_back({HasId{{PointId(uint64_t{1}), PointId(uint64_t{2})}}});
    EXPECT_EQ(*engine_->CountPoints(name, has_id), expected_.count(1) + expected_.count(2));
    for (const std::string key : {"n", "odd"}) {
      const auto facet = engine_->Facet({name, FieldPath(key), {}, 10'000});
      ASSERT_TRUE(facet.ok()) << facet.status();
      uint64_t counted = 0;
      for (const FacetCount& count : facet->counts) counted += count.points;
      EXPECT_EQ(counted, expected_.size()) << key;
    }
    for (const bool exact : {true, false}) {
      Matrix query(1, kDimension);
      const auto found = Search(name, query, 3'000, exact, 200);
      EXPECT_EQ(found.hits.at(0).size(), expected_.size()) << "exact " << exact;
      for (const Hit& hit : found.hits.at(0)) {
        EXPECT_TRUE(expected_.contains(std::get<uint64_t>(hit.id)));
      }
    }
  }

  std::atomic<int> steps_allowed_{kNoEnd};
  std::atomic<int> too_early_{0};
  Matrix rows_;
  std::map<uint64_t, std::string> expected_;
  uint64_t leftover_records_ = 0;
};

TEST_P(EngineDeletionsTest, AllPointsAreGoneAtOnce) {
  steps_allowed_ = 0;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  EXPECT_EQ(Deletions(), kPoints / 2 / kStep);
  ExpectThere();
  // Nothing is there to be deleted, edited or read.
  EXPECT_EQ(engine_->DeleteByFilter("c", Equals("odd", 1), {})->points, 0u);
  const std::vector<PointId> gone = {PointId(uint64_t{1}), PointId(uint64_t{3})};
  EXPECT_EQ(engine_->DeletePoints("c", gone, {})->points, 0u);
  const auto edit = [](size_t, PointData*) { return absl::OkStatus(); };
  EXPECT_EQ(engine_->EditPoints("c", gone, edit, {})->points, 0u);
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  EXPECT_EQ(leftover_records_, kPoints / 2 * (GetParam().trained ? 3 : 2));
  EXPECT_EQ(Deletions(), kPoints / 2 / kStep);
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  EXPECT_EQ(leftover_records_, 0u);
  ExpectThere();
}

TEST_P(EngineDeletionsTest, AFewPointsAreRemovedAtOnce) {
  steps_allowed_ = 0;
  Filter few;
  NumberRange range;
  range.bounds.lt = kStep;
  few.must.push_back({FieldCondition{FieldPath("n"), range}});
  EXPECT_EQ(engine_->DeleteByFilter("c", few, {})->points, kStep);
  std::erase_if(expected_, [](const auto& point) { return point.first < kStep; });
  EXPECT_EQ(Deletions(), 0u);
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
}

TEST_P(EngineDeletionsTest, RemovalGoesOnAfterARestart) {
  steps_allowed_ = 3;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  for (int i = 0; i < 500 && steps_allowed_.load() > 0; ++i) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  EXPECT_EQ(Deletions(), kPoints / 2 / kStep - 3);
  ExpectThere();
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  ASSERT_NO_FATAL_FAILURE(ExpectClean());
  Open();
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ExpectThere();
}

TEST_P(EngineDeletionsTest, IdsCanBeInsertedAgainMeanwhile) {
  steps_allowed_ = 0;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  EXPECT_TRUE(absl::IsNotFound(TryUpsert({5}, 1, WriteCondition::kUpdateOnly).status()));
  EXPECT_TRUE(TryUpsert({5}, 1, WriteCondition::kInsertOnly).ok());
  std::vector<uint64_t> ids;
  for (uint64_t id = 1; id < 400; id += 2) ids.push_back(id);
  ASSERT_NO_FATAL_FAILURE(Upsert(ids, 1));
  ExpectThere();
  // And go once more, some of them by a large deletion.
  EXPECT_EQ(engine_->DeletePoints("c", {PointId(uint64_t{7})}, {})->points, 1u);
  expected_.erase(7);
  EXPECT_EQ(engine_->DeleteByFilter("c", Equals("round", 1), {})->points, ids.size() - 1);
  for (uint64_t id : ids) expected_.erase(id);
  ExpectThere();
  ids.resize(100);
  ASSERT_NO_FATAL_FAILURE(Upsert(ids, 2));
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  ExpectThere();
}

TEST_P(EngineDeletionsTest, ASlotIsNotGivenBeforeItsRecordsAreRemoved) {
  steps_allowed_ = 0;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  uint64_t next = kPoints;
  const auto write_new = [&] {
    std::vector<uint64_t> ids;
    for (int i = 0; i < 200; ++i) ids.push_back(next++);
    Upsert(ids, 1);
  };
  for (int restart = 0; restart < 2; ++restart) {
    ASSERT_NO_FATAL_FAILURE(write_new());
    std::set<Slot> taken;
    for (const auto& [id, slot] : Slots()) {
      EXPECT_TRUE(taken.insert(slot).second) << "slot " << slot << " has two points";
      if (id >= kPoints) {
        EXPECT_GE(slot, kPoints);
      }
    }
    ExpectThere();
    ASSERT_NO_FATAL_FAILURE(KillAndRestart());
    ExpectThere();
  }
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  size_t reused = 0;
  for (int i = 0; i < 100 && reused == 0; ++i) {
    ASSERT_NO_FATAL_FAILURE(write_new());
    for (const auto& [id, slot] : Slots()) reused += id >= kPoints && slot < kPoints;
  }
  EXPECT_GT(reused, 0u) << "afterwards slots are given again";
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  ExpectThere();
}

TEST_P(EngineDeletionsTest, ASnapshotMayHoldOne) {
  steps_allowed_ = 0;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  ASSERT_NO_FATAL_FAILURE(Upsert({1, 3, 5}, 1));
  const auto created = Await(engine_->snapshots().Create("c"));
  ASSERT_TRUE(created.ok() && created->state == OperationState::kSucceeded);
  const auto before = expected_;
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ASSERT_NO_FATAL_FAILURE(Upsert({7, 9}, 2));
  expected_ = before;
  const auto snapshots = engine_->snapshots().List("", 10);
  ASSERT_TRUE(snapshots.ok() && snapshots->size() == 1);
  EXPECT_EQ((*snapshots)[0].points, expected_.size());
  const auto verified = Await(engine_->snapshots().Verify((*snapshots)[0].id));
  EXPECT_EQ(verified->state, OperationState::kSucceeded) << verified->error;
  const auto restored = Await(
      engine_->snapshots().Restore({.snapshot_id = (*snapshots)[0].id, .collection = "restored"}));
  ASSERT_TRUE(restored.ok());
  ASSERT_EQ(restored->state, OperationState::kSucceeded) << restored->error;
  ExpectThere("restored");
  const KeyRange deletions = DeletionRange(2);
  for (int i = 0; i < 500 && Records(Family::kMeta, deletions) > 0; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(Records(Family::kPoints, CollectionRange(2)), expected_.size());
  ExpectThere("restored");
}

TEST_P(EngineDeletionsTest, ARepeatedRequestIsDoneOnce) {
  steps_allowed_ = 0;
  const WriteOptions options = {Durability::kAsync, "request", 17};
  const uint64_t sequence = engine_->GetCollection("c")->sequence;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd(options));
  // A point that matches and comes afterwards is not of the request.
  const auto written = TryUpsert({1}, 0);
  ASSERT_TRUE(written.ok());
  expected_[1] = Payload(1, 0);
  for (int restart = 0; restart < 2; ++restart) {
    const auto again = engine_->DeleteByFilter("c", Equals("odd", 1), options);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->points, kPoints / 2);
    EXPECT_EQ(again->sequence, sequence + 1);
    EXPECT_EQ(engine_->DeleteByFilter("c", Equals("odd", 1), {{}, "request", 18}).status().code(),
              absl::StatusCode::kInvalidArgument);
    ExpectThere();
    ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  }
}

TEST_P(EngineDeletionsTest, ACodebookMayBeInstalledMeanwhile) {
  steps_allowed_ = 1;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  ASSERT_NO_FATAL_FAILURE(Upsert({1, 3, 5}, 1));
  ASSERT_NO_FATAL_FAILURE(Train("c", 5));
  ExpectThere();
  // Where the vectors are on disk, no record that a start reads tells of the points' slots now.
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  ExpectThere();
  const auto activated = Await(engine_->ActivateCodebook("c", 1));
  if (GetParam().trained) {
    ASSERT_TRUE(activated.ok()) << activated.status();
    ASSERT_EQ(activated->state, OperationState::kSucceeded) << activated->error;
  }
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  EXPECT_EQ(leftover_records_, 0u);
  ExpectThere();
}

TEST_P(EngineDeletionsTest, ItMayComeWhileACodebookIsInstalled) {
  steps_allowed_ = 0;
  TrainRequest request;
  request.collection = "c";
  request.nlist = 200;  // so that it takes a while
  auto training = engine_->Train(request);
  ASSERT_TRUE(training.ok());
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  training = Await(training);
  ASSERT_EQ(training->state, OperationState::kSucceeded) << training->error;
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  EXPECT_EQ(leftover_records_, 0u);
  ExpectThere();
}

TEST_P(EngineDeletionsTest, AnIndexBuiltMeanwhileDoesNotKnowThem) {
  steps_allowed_ = 0;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  ASSERT_NO_FATAL_FAILURE(AddIndex("round"));
  ExpectThere();
  EXPECT_EQ(*engine_->CountPoints("c", Equals("round", 0)), kPoints / 2);
  EXPECT_EQ(engine_->GetCollection("c")->payload_indexes.back().points, kPoints / 2);
  ASSERT_NO_FATAL_FAILURE(KillAndRestart());
  EXPECT_EQ(*engine_->CountPoints("c", Equals("round", 0)), kPoints / 2);
  ExpectThere();
}

TEST_P(EngineDeletionsTest, WhatIsWrittenMeanwhileStays) {
  std::vector<uint64_t> written;
  std::thread writer([&] {
    for (uint64_t id = 1; id < kPoints; id += 2) {
      ASSERT_TRUE(TryUpsert({id}, 1).ok());
      written.push_back(id);
    }
  });
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(engine_->DeleteByFilter("c", Equals("odd", 1), {}).ok());
  }
  writer.join();
  for (uint64_t id : written) expected_[id] = Payload(id, 1);
  EXPECT_EQ(written.size(), kPoints / 2);
  ExpectThere();
  ASSERT_NO_FATAL_FAILURE(AwaitRemoval());
  ExpectThere();
}

TEST_P(EngineDeletionsTest, ADroppedCollectionLeavesNothing) {
  steps_allowed_ = 1;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  ASSERT_TRUE(engine_->DeleteCollection("c").ok());
  EXPECT_EQ(Deletions(), 0u);
  steps_allowed_ = kNoEnd;
  Reopen();
  EXPECT_EQ(Records(Family::kPoints, CollectionRange(1)), 0u);
}

TEST_P(EngineDeletionsTest, ADamagedOneIsFound) {
  steps_allowed_ = 0;
  ASSERT_NO_FATAL_FAILURE(DeleteOdd());
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  const std::string first = DeletionKey({1, 1, 0});
  const auto slots_in = [](std::string_view bytes) {
    return [bytes](std::string_view key) {
      std::string value;
      EncodeDeletion(key, bytes, &value);
      return value;
    };
  };
  using namespace std::string_view_literals;
  const std::map<std::string, std::function<std::string(std::string_view)>> damages = {
      {"checksum", [](std::string_view) { return std::string("no record of any kind"); }},
      {"slot was never given", slots_in("\x80\x80\x80\x10"sv)},
      {"it has 0 slots", slots_in(""sv)},
      {"it has 1100 slots", slots_in("\x01\xCC\x08"sv)},
      {"in another one", slots_in("\x02"sv)}};
  for (const auto& [what, damage] : damages) {
    {
      auto store = OpenRocksDbStore({.path = directory_ + "/store"});
      ASSERT_TRUE(store.ok()) << store.status();
      auto batch = (*store)->NewBatch();
      batch->Put(Family::kMeta, first, damage(first));
      ASSERT_TRUE((*store)->Commit(*batch, Durability::kSync).ok());
      ASSERT_TRUE((*store)->Close().ok());
    }
    const auto report = CheckDataDirectory(directory_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->ok()) << what;
    auto store = OpenRocksDbStore({.path = directory_ + "/store"});
    ASSERT_TRUE(store.ok()) << store.status();
    const absl::Status refused =
        Engine::Open(*std::move(store), executor_, engine_options_).status();
    EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
    EXPECT_TRUE(absl::StrContains(refused.message(), what)) << refused;
    EXPECT_TRUE(absl::StrContains(refused.message(), "deletion record")) << refused;
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, EngineDeletionsTest,
                         testing::Values(Setting{VectorPlacement::kMemory, false, false},
                                         Setting{VectorPlacement::kMemory, true, true},
                                         Setting{VectorPlacement::kDisk, true, false}),
                         [](const auto& info) {
                           return absl::StrCat(
                               info.param.placement == VectorPlacement::kMemory ? "Memory" : "Disk",
                               info.param.trained ? "Trained" : "",
                               info.param.indexed ? "Indexed" : "");
                         });

}  // namespace
}  // namespace tessera
