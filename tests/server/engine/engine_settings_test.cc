// What can change of a collection: at once, all or nothing, and for good.
#include "index/base/limits.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {
namespace {

// Counts the commits that are not synced, and fails them all if it is told to.
class WatchedStore final : public StoreWrapper {
 public:
  WatchedStore(std::unique_ptr<Store> store, std::atomic<int>& async_commits,
               const std::atomic<bool>& fail)
      : StoreWrapper(std::move(store)), async_commits_(async_commits), fail_(fail) {}
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    if (fail_.load()) return absl::ResourceExhaustedError("the disk is full");
    if (durability == Durability::kAsync) async_commits_.fetch_add(1);
    return StoreWrapper::Commit(batch, durability);
  }

 private:
  std::atomic<int>& async_commits_;
  const std::atomic<bool>& fail_;
};

class EngineSettingsTest : public EngineFixture {
 protected:
  static constexpr size_t kDimension = 8;

  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<WatchedStore>(std::move(store), async_commits_, fail_commits_);
  }

  absl::StatusOr<CollectionInfo> Update(const std::function<void(CollectionSettings*)>& change,
                                        std::optional<uint64_t> expected = std::nullopt) {
    return engine_->UpdateCollection(
        "a",
        [&](CollectionSettings* settings) {
          change(settings);
          return absl::OkStatus();
        },
        expected);
  }
  CollectionInfo Info() { return engine_->GetCollection("a").value(); }
  uint64_t ListsScanned() {
    return Search("a", ClusteredRows(1, kDimension, 3), 3).report.lists_scanned;
  }

  std::atomic<int> async_commits_{0};
  std::atomic<bool> fail_commits_{false};
};

TEST_F(EngineSettingsTest, SearchDefaultsChangeAtOnceAndForGood) {
  Create("a", kDimension);
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(600, kDimension, 1)).ok());
  Train("a", 20);
  const uint32_t chosen = Info().spec.index.default_nprobe;
  const auto updated = Update([](auto* settings) {
    settings->index.default_nprobe = 13;
    settings->index.default_rerank = 77;
  });
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->spec.index.default_nprobe, 13u);
  EXPECT_EQ(updated->spec.index.default_rerank, 77u);
  EXPECT_EQ(updated->revision, 1u);
  EXPECT_EQ(ListsScanned(), 13u);
  Reopen();
  EXPECT_EQ(ListsScanned(), 13u);
  EXPECT_EQ(Info().spec.index.default_rerank, 77u);
  EXPECT_EQ(Info().revision, 1u);
  // And back to what the server chooses.
  ASSERT_TRUE(Update([](auto* settings) { settings->index.default_nprobe = 0; }).ok());
  EXPECT_EQ(Info().spec.index.default_nprobe, chosen);
  EXPECT_EQ(ListsScanned(), chosen);
}

TEST_F(EngineSettingsTest, TrainingTakesWhatIsSet) {
  Create("a", kDimension);
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(600, kDimension, 1)).ok());
  Train("a");
  const auto set = [](auto* settings) {
    settings->index.nlist = 5;
    settings->index.subquantizers = 2;
    settings->index.nbits = 8;
  };
  ASSERT_TRUE(Update(set).ok());
  Reopen();
  EXPECT_NE(engine_->GetCodebook("a", 0)->nlist, 5u) << "trained before";
  Train("a");
  const auto codebook = engine_->GetCodebook("a", 0);
  EXPECT_EQ(codebook->version, 2u);
  EXPECT_EQ(codebook->nlist, 5u);
  EXPECT_EQ(codebook->subquantizers, 2u);
  EXPECT_EQ(codebook->nbits, 8u);
}

TEST_F(EngineSettingsTest, VectorsMoveWithARestart) {
  Create("a", kDimension);
  const Matrix rows = ClusteredRows(600, kDimension, 1);
  ASSERT_TRUE(UpsertRows("a", 0, rows).ok());
  Train("a", 10);
  const Matrix queries = ClusteredRows(10, kDimension, 5);
  const SearchResult before = Search("a", queries, 5, false, 10);
  const auto with_vectors = Info().memory_bytes;
  for (const VectorPlacement placement : {VectorPlacement::kDisk, VectorPlacement::kMemory}) {
    ASSERT_TRUE(Update([&](auto* settings) { settings->index.vectors = placement; }).ok());
    Reopen();
    EXPECT_EQ(Info().spec.index.vectors, placement);
    EXPECT_EQ(Info().memory_bytes < with_vectors, placement == VectorPlacement::kDisk);
    const SearchResult after = Search("a", queries, 5, false, 10);
    for (size_t q = 0; q < queries.rows(); ++q) {
      EXPECT_EQ(Ids(after.hits[q]), Ids(before.hits[q]));
    }
    ASSERT_TRUE(UpsertRows("a", 0, rows).ok());
  }
}

TEST_F(EngineSettingsTest, WritesThatNameNoDurabilityTakeTheCollections) {
  Create("a", kDimension);
  const Matrix row = ClusteredRows(1, kDimension, 1);
  ASSERT_TRUE(UpsertRows("a", 0, row).ok());
  EXPECT_EQ(async_commits_.load(), 0);
  ASSERT_TRUE(Update([](auto* settings) { settings->durability = Durability::kAsync; }).ok());
  EXPECT_EQ(async_commits_.load(), 0) << "the change itself is synced";
  ASSERT_TRUE(UpsertRows("a", 1, row).ok());
  EXPECT_EQ(async_commits_.load(), 1);
  ASSERT_TRUE(engine_->DeletePoints("a", {PointId(uint64_t{1})}, {Durability::kSync}).ok());
  EXPECT_EQ(async_commits_.load(), 1);
  ASSERT_TRUE(engine_->UpdateVectors("a", {PointId(uint64_t{0})}, FloatView(row), {}).ok());
  EXPECT_EQ(async_commits_.load(), 2);
  Reopen();
  ASSERT_TRUE(UpsertRows("a", 2, row).ok());
  EXPECT_EQ(async_commits_.load(), 3);
}

TEST_F(EngineSettingsTest, CreateTakesAllOfIt) {
  CollectionSpec spec;
  spec.name = "a";
  spec.dimension = kDimension;
  spec.durability = Durability::kAsync;
  spec.metadata = R"({"owner":"x"})";
  ASSERT_TRUE(engine_->CreateCollection(spec).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Info().spec.durability, Durability::kAsync);
    EXPECT_EQ(Info().spec.metadata, spec.metadata);
    EXPECT_EQ(Info().revision, 0u);
    Reopen();
  }
  spec.name = "b";
  spec.metadata = "[]";
  const absl::Status refused = engine_->CreateCollection(spec).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetStatusDetails(refused).field, "metadata");
}

TEST_F(EngineSettingsTest, ARefusedChangeChangesNothing) {
  Create("a", kDimension);
  struct Case {
    std::string field;
    std::function<void(CollectionSettings*)> change;
  };
  const std::vector<Case> cases = {
      {"index.nbits", [](auto* s) { s->index.nbits = 5; }},
      {"index.nlist", [](auto* s) { s->index.nlist = limits::kListsMax + 1; }},
      {"index.subquantizers", [](auto* s) { s->index.subquantizers = kDimension + 1; }},
      {"index.default_rerank", [](auto* s) { s->index.default_rerank = limits::kRerankMax + 1; }},
      {"metadata", [](auto* s) { s->metadata = "{"; }},
      {"metadata",
       [](auto* s) {
         s->metadata = "{\"a\":\"" + std::string(limits::kCollectionMetadataBytesMax, 'x') + "\"}";
       }},
  };
  for (const Case& c : cases) {
    const absl::Status status = Update([&](CollectionSettings* settings) {
                                  settings->index.default_nprobe = 9;
                                  c.change(settings);
                                }).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field;
    EXPECT_EQ(GetStatusDetails(status).field, c.field);
    EXPECT_EQ(Info().spec.index.default_nprobe, 0u);
    EXPECT_EQ(Info().revision, 0u);
  }
  EXPECT_EQ(engine_->UpdateCollection("b", {}, std::nullopt).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(EngineSettingsTest, AChangeThatIsNotOnDiskIsNone) {
  Create("a", kDimension);
  const auto set = [](CollectionSettings* settings) {
    settings->index.default_nprobe = 9;
    settings->metadata = R"({"by":1})";
  };
  fail_commits_.store(true);
  EXPECT_EQ(Update(set).status().code(), absl::StatusCode::kResourceExhausted);
  fail_commits_.store(false);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Info().spec.index.default_nprobe, 0u);
    EXPECT_EQ(Info().spec.metadata, "");
    EXPECT_EQ(Info().revision, 0u);
    Reopen();
  }
  ASSERT_TRUE(Update(set).ok());
  EXPECT_EQ(Info().revision, 1u);
}

TEST_F(EngineSettingsTest, AnExpectedRevisionGuardsAgainstLostChanges) {
  Create("a", kDimension);
  const auto set = [](const char* text) {
    return [text](CollectionSettings* settings) { settings->metadata = text; };
  };
  ASSERT_TRUE(Update(set(R"({"by":1})"), 0).ok());
  const absl::Status late = Update(set(R"({"by":2})"), 0).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GetStatusDetails(late).reason, "REVISION_MISMATCH");
  EXPECT_EQ(Info().spec.metadata, R"({"by":1})");
  ASSERT_TRUE(Update(set(""), 1).ok());
  Reopen();
  EXPECT_EQ(Info().spec.metadata, "");
  EXPECT_EQ(Info().revision, 2u);
}

}  // namespace
}  // namespace tessera
