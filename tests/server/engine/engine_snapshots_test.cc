#include <fstream>
#include <map>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "server/engine/record_copy.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

class EngineSnapshotsTest : public EngineFixture {
 protected:
  static constexpr size_t kDimension = 8;

  void SetUp() override {
    engine_options_.version = "test";
    EngineFixture::SetUp();
    ASSERT_TRUE(engine_->Close().ok());
    engine_options_.snapshot_path = directory_ + "/snapshots";
    Open();
  }

  Snapshots& snapshots() { return engine_->snapshots(); }

  std::string MakeSnapshot(const std::string& collection) {
    const auto operation = Await(snapshots().Create(collection));
    EXPECT_TRUE(operation.ok()) << operation.status();
    EXPECT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
    return operation->snapshot_id;
  }

  absl::Status RunRestore(const RestoreRequest& request) {
    const auto operation = Await(snapshots().Restore(request));
    if (!operation.ok()) return operation.status();
    return operation->state == OperationState::kSucceeded ? absl::OkStatus() : operation->error;
  }

  // Every point with its vector and payload.
  std::map<PointId, std::pair<std::string, std::string>> All(const std::string& collection) {
    std::map<PointId, std::pair<std::string, std::string>> points;
    std::string token;
    ElementType type;
    do {
      auto page = engine_->ScrollPoints(collection, 1'000, token, {},
                                        {.payload = {.enabled = true}, .vector = true}, &type);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      for (PointData& point : page->points) points[point.id] = {point.vector, point.payload};
      token = page->next_page_token;
    } while (!token.empty());
    return points;
  }

  // A trained collection with replaced, deleted and new points, some with names.
  void MakeCollection(const std::string& name) {
    Create(name, kDimension);
    ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(600, kDimension, 1), R"({"a":1})").ok());
    Train(name, 8);
    ASSERT_TRUE(UpsertRows(name, 500, ClusteredRows(300, kDimension, 2)).ok());
    ASSERT_TRUE(
        engine_->DeletePoints(name, {PointId(uint64_t{3}), PointId(uint64_t{700})}, {}).ok());
    UpsertBatch batch;
    batch.ids = {PointId(std::string("named"))};
    const Matrix row = ClusteredRows(1, kDimension, 3);
    batch.vectors = FloatView(row);
    ASSERT_TRUE(engine_->Upsert(name, batch).ok());
  }

  std::vector<std::vector<uint64_t>> Found(const std::string& name, bool exact) {
    std::vector<std::vector<uint64_t>> ids;
    for (const auto& hits : Search(name, ClusteredRows(20, kDimension, 9), 10, exact, 8).hits) {
      ids.push_back({});
      for (const Hit& hit : hits) {
        const auto* number = std::get_if<uint64_t>(&hit.id);
        ids.back().push_back(number == nullptr ? ~uint64_t{0} : *number);
      }
    }
    return ids;
  }
};

// What the message about a damaged store advises.
TEST_F(EngineSnapshotsTest, TheStoreOfASnapshotTakesThePlaceOfADamagedOne) {
  MakeCollection("c");
  const auto then = All("c");
  const auto found = Found("c", /*exact=*/false);
  const std::string id = MakeSnapshot("c");
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(50, kDimension, 5)).ok());
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  fs::remove_all(directory_ + "/store");
  fs::copy(engine_options_.snapshot_path + "/" + id + "/store", directory_ + "/store");
  Open();
  EXPECT_EQ(All("c"), then);
  EXPECT_EQ(Found("c", /*exact=*/false), found);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(50, kDimension, 5)).ok());
  Reopen();
}

TEST_F(EngineSnapshotsTest, RestoredCollectionIsTheSame) {
  MakeCollection("a");
  Create("other", 4);
  ASSERT_TRUE(UpsertRows("other", 0, ClusteredRows(10, 4, 1)).ok());
  const auto points = All("a");
  const auto found = Found("a", false);
  const auto info = engine_->GetCollection("a");
  const auto set = [](CollectionSettings* settings) {
    settings->metadata = R"({"of":"a"})";
    settings->durability = Durability::kAsync;
    return absl::OkStatus();
  };
  ASSERT_TRUE(engine_->UpdateCollection("a", set, std::nullopt).ok());
  const std::string id = MakeSnapshot("a");

  const auto snapshot = snapshots().Get(id);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->spec.name, "a");
  EXPECT_EQ(snapshot->spec.dimension, kDimension);
  EXPECT_EQ(snapshot->sequence, info->sequence);
  EXPECT_EQ(snapshot->points, points.size());
  EXPECT_EQ(snapshot->creator_version, "test");

  // What happens afterwards is not in the snapshot.
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(400, kDimension, 5)).ok());
  ASSERT_EQ(RunRestore({.snapshot_id = id, .collection = "b"}), absl::OkStatus());
  EXPECT_EQ(All("b"), points);
  EXPECT_EQ(Found("b", false), found);
  EXPECT_EQ(engine_->GetCollection("b")->sequence, info->sequence);
  EXPECT_EQ(engine_->GetCollection("b")->codebook_version, info->codebook_version);
  EXPECT_NE(All("a"), points);
  EXPECT_EQ(engine_->GetCollection("b")->spec.metadata, R"({"of":"a"})");
  EXPECT_EQ(engine_->GetCollection("b")->spec.durability, Durability::kAsync);
  Reopen();
  EXPECT_EQ(engine_->GetCollection("b")->spec.metadata, R"({"of":"a"})");
  EXPECT_EQ(engine_->GetCollection("b")->revision, 1u);
  EXPECT_EQ(All("b"), points);
  EXPECT_EQ(Found("b", false), found);
  EXPECT_EQ(engine_->ListCollections("", 10).size(), 3u);
}

TEST_F(EngineSnapshotsTest, ReplaceSwitchesTheNameAndDropsTheOldRecords) {
  MakeCollection("a");
  const auto points = All("a");
  const std::string id = MakeSnapshot("a");
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(1'000, kDimension, 5)).ok());
  EXPECT_EQ(RunRestore({.snapshot_id = id}).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(RunRestore({.snapshot_id = id, .replace = true}), absl::OkStatus());
  EXPECT_EQ(All("a"), points);
  ASSERT_TRUE(UpsertRows("a", 5'000, ClusteredRows(1, kDimension, 5)).ok());
  EXPECT_EQ(engine_->CountPoints("a", {}).value(), points.size() + 1);
  Reopen();
  EXPECT_EQ(engine_->CountPoints("a", {}).value(), points.size() + 1);
  // Only the restored collection's records are left.
  std::set<std::string> owners;
  auto it = store_->Scan(Family::kPoints, "", "", false);
  for (; it->Valid(); it->Next()) owners.insert(std::string(it->key().substr(0, 4)));
  EXPECT_EQ(owners.size(), 1u);
}

TEST_F(EngineSnapshotsTest, SurvivesTheCollection) {
  MakeCollection("a");
  const auto points = All("a");
  const std::string id = MakeSnapshot("a");
  ASSERT_TRUE(engine_->DeleteCollection("a").ok());
  ASSERT_EQ(RunRestore({.snapshot_id = id}), absl::OkStatus());
  EXPECT_EQ(All("a"), points);
}

TEST_F(EngineSnapshotsTest, ListIsPagedInTheOrderOfTime) {
  Create("a", 4);
  std::vector<std::string> made;
  for (int i = 0; i < 3; ++i) made.push_back(MakeSnapshot("a"));
  std::sort(made.begin(), made.end());
  const auto first = snapshots().List("", 2);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->size(), 2u);
  const auto rest = snapshots().List((*first)[1].id, 2);
  ASSERT_EQ(rest->size(), 1u);
  EXPECT_EQ((std::vector{(*first)[0].id, (*first)[1].id, (*rest)[0].id}), made);
}

TEST_F(EngineSnapshotsTest, DamageIsFoundAndNothingIsRestored) {
  MakeCollection("a");
  const std::string id = MakeSnapshot("a");
  EXPECT_EQ(Await(snapshots().Verify(id))->state, OperationState::kSucceeded);
  const std::string folder = engine_options_.snapshot_path + "/" + id;
  for (const auto& entry : fs::directory_iterator(folder + "/store")) {
    const std::string name = entry.path().filename();
    // Not in place: the store has the same file.
    fs::rename(entry.path(), directory_ + "/saved");
    fs::copy_file(directory_ + "/saved", entry.path());
    const uint64_t middle = entry.file_size() / 2;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(middle));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(middle));
    file.put(static_cast<char>(byte ^ 4));
    file.close();
    const auto verified = Await(snapshots().Verify(id));
    EXPECT_EQ(verified->state, OperationState::kFailed);
    EXPECT_EQ(verified->error.code(), absl::StatusCode::kDataLoss) << verified->error;
    EXPECT_TRUE(absl::StrContains(verified->error.message(), name)) << verified->error;
    const absl::Status restored = RunRestore({.snapshot_id = id, .collection = "b"});
    EXPECT_EQ(restored.code(), absl::StatusCode::kDataLoss) << restored;
    EXPECT_FALSE(engine_->GetCollection("b").ok());
    fs::remove(entry.path());
    fs::rename(directory_ + "/saved", entry.path());
  }
  EXPECT_EQ(RunRestore({.snapshot_id = id, .collection = "b"}), absl::OkStatus());

  fs::resize_file(folder + "/MANIFEST", 10);
  EXPECT_EQ(snapshots().Get(id).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(RunRestore({.snapshot_id = id, .collection = "c"}).code(), absl::StatusCode::kDataLoss);
  const auto listed = snapshots().List("", 10);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ((*listed)[0].damage.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(snapshots().Delete(id), absl::OkStatus());
}

TEST_F(EngineSnapshotsTest, SnapshotOfALaterFormatIsRefused) {
  MakeCollection("c");
  auto batch = store_->NewBatch();
  std::string value;
  EncodeFormat(FormatKey(), kStoreFormat + 1, &value);
  batch->Put(Family::kMeta, FormatKey(), value);
  ASSERT_TRUE(store_->Commit(*batch, Durability::kSync).ok());
  const std::string id = MakeSnapshot("c");
  const absl::Status refused = RunRestore({.snapshot_id = id, .collection = "d"});
  EXPECT_EQ(GetStatusDetails(refused).reason, "STORE_FORMAT_TOO_NEW") << refused;
  EXPECT_FALSE(engine_->GetCollection("d").ok());
}

TEST_F(EngineSnapshotsTest, UnknownNamesAreNotFound) {
  EXPECT_TRUE(absl::IsNotFound(snapshots().Create("a").status()));
  const std::string id = "20231114-221320-123-1234";
  EXPECT_TRUE(absl::IsNotFound(snapshots().Get(id).status()));
  EXPECT_TRUE(absl::IsNotFound(snapshots().Verify(id).status()));
  EXPECT_TRUE(absl::IsNotFound(snapshots().Delete(id)));
  EXPECT_TRUE(absl::IsNotFound(snapshots().Restore({.snapshot_id = id}).status()));
}

TEST_F(EngineSnapshotsTest, NewNameHasToBeOne) {
  Create("a", 4);
  const std::string id = MakeSnapshot("a");
  EXPECT_TRUE(
      absl::IsInvalidArgument(RunRestore({.snapshot_id = id, .collection = "no/such name"})));
}

TEST_F(EngineSnapshotsTest, AliasIsNoNameToRestoreUnderAndStaysWithItsCollection) {
  MakeCollection("a");
  const std::string id = MakeSnapshot("a");
  ASSERT_TRUE(engine_->UpdateAliases({{"alias", "a"}}).ok());
  for (const bool replace : {false, true}) {
    const absl::Status refusal =
        snapshots()
            .Restore({.snapshot_id = id, .collection = "alias", .replace = replace})
            .status();
    EXPECT_EQ(refusal.code(), absl::StatusCode::kAlreadyExists) << refusal;
    EXPECT_EQ(GetStatusDetails(refusal).reason, "ALIAS_EXISTS");
  }
  ASSERT_EQ(RunRestore({.snapshot_id = id, .replace = true}), absl::OkStatus());
  EXPECT_EQ(engine_->CountPoints("alias", {}).value(), engine_->CountPoints("a", {}).value());
}

// What a crash in the middle of a restore leaves: all records but the catalog's.
TEST_F(EngineSnapshotsTest, InterruptedRestoreIsSweptAtTheNextStart) {
  MakeCollection("a");
  ASSERT_TRUE(CopyCollection({*store_, 1}, {*store_, 77}, [](uint64_t) { return true; }).ok());
  EXPECT_TRUE(store_->Get(Family::kMeta, CounterKey(77))->has_value());
  Reopen();
  EXPECT_FALSE(store_->Get(Family::kMeta, CounterKey(77))->has_value());
  const KeyRange range = CollectionRange(77);
  for (Family family : {Family::kCodebooks, Family::kIds, Family::kPoints, Family::kCodes}) {
    EXPECT_FALSE(store_->Scan(family, range.begin, range.end, false)->Valid());
  }
  EXPECT_EQ(engine_->ListCollections("", 10).size(), 1u);
}

TEST_F(EngineSnapshotsTest, WithoutAFolderTheyAreDisabled) {
  ASSERT_TRUE(engine_->Close().ok());
  engine_options_.snapshot_path.clear();
  Open();
  Create("a", 4);
  const absl::Status status = snapshots().Create("a").status();
  EXPECT_EQ(GetStatusDetails(status).reason, "SNAPSHOTS_DISABLED");
  EXPECT_FALSE(snapshots().List("", 1).ok());
}

}  // namespace
}  // namespace tessera
