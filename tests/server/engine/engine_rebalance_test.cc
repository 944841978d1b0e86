// A stream of points unlike those that a collection was trained on goes into few lists: they are
// split while searches and writes go on.
#include <atomic>
#include <numeric>
#include <thread>

#include "absl/time/clock.h"
#include "index/codebook/codebook.h"
#include "index/ivf/list_balance.h"
#include "server/fsck/fsck.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/list_lengths.h"
#include "tests/server/engine/noted_batch.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {
namespace {

constexpr uint32_t kDimension = 16;
constexpr uint32_t kLists = 64;
constexpr size_t kTrained = 4'000;
constexpr size_t kDrifted = 20'000;
constexpr size_t kAll = kTrained + kDrifted;
constexpr size_t kStep = 500;

// Refuses, as a full disk would, the commits that move centroids while they are held.
class SplitHolder : public StoreWrapper {
 public:
  SplitHolder(std::unique_ptr<Store> store, const std::atomic<bool>& held)
      : StoreWrapper(std::move(store)), held_(held) {}

  std::unique_ptr<StoreBatch> NewBatch() override {
    return std::make_unique<NotedBatch>(StoreWrapper::NewBatch());
  }
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    auto& noted = dynamic_cast<NotedBatch&>(batch);
    if (noted.centroids && held_) return absl::ResourceExhaustedError("the test holds it up");
    return StoreWrapper::Commit(*noted.batch, durability);
  }

 private:
  const std::atomic<bool>& held_;
};

class EngineRebalanceTest : public EngineFixture,
                            public testing::WithParamInterface<VectorPlacement> {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    rows_ = Matrix(kAll, kDimension);
    const Matrix trained = RowsAround(0, 3, 40, kTrained, kDimension, 2);
    const Matrix drifted = RowsAround(6, 0.5, 200, kDrifted, kDimension, 3);
    std::copy_n(trained.data(), kTrained * kDimension, rows_.data());
    std::copy_n(drifted.data(), kDrifted * kDimension, rows_.row(kTrained).data());
    Create("c", kDimension, Metric::kL2, ElementType::kFloat32, GetParam());
    ASSERT_TRUE(UpsertRows("c", 0, Rows(0, kTrained)).ok());
    Train("c", kLists);
  }

  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<SplitHolder>(std::move(store), splits_held_);
  }

  Matrix Rows(size_t begin, size_t n) const {
    Matrix some(n, kDimension);
    std::copy_n(rows_.row(begin).data(), n * kDimension, some.data());
    return some;
  }
  float Distance(std::span<const float> a, std::span<const float> b) const {
    float sum = 0;
    for (size_t j = 0; j < kDimension; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
  }

  // Each hit belongs to its id, and none comes twice. nprobe is at least 2: a point between two
  // lists may be nearer to the other one's centroid in half precision.
  void CheckSearch(size_t row, uint32_t nprobe) {
    const SearchResult result = Search("c", Rows(row, 1), 20, /*exact=*/false, nprobe);
    ASSERT_EQ(result.hits.size(), 1u);
    std::set<uint64_t> seen;
    for (const Hit& hit : result.hits[0]) {
      const uint64_t id = std::get<uint64_t>(hit.id);
      EXPECT_TRUE(seen.insert(id).second) << id << " came twice";
      const float expected = Distance(rows_.row(row), rows_.row(id));
      EXPECT_NEAR(hit.score, expected, 1e-3f * (1 + expected)) << "of id " << id;
    }
    EXPECT_TRUE(seen.contains(row))
        << "point " << row << " is not found where it is, nprobe " << nprobe;
  }

  // Waits until lists that are too long have been split.
  void AwaitBalance() {
    for (int i = 0; i < 4'800; ++i) {
      lengths_ = ListLengths(*store_, kLists);
      longest_ = *std::max_element(lengths_.begin(), lengths_.end());
      if (longest_ <= ListSizeMax(kAll, kLists)) return;
      absl::SleepFor(absl::Milliseconds(50));
    }
    FAIL() << "a list of " << longest_ << " entries is left";
  }

  // The codebook once nothing moves its centroids any more: a last split may be under way when the
  // lists are short enough.
  std::string AwaitedExport() {
    std::string last;
    for (int i = 0; i < 60; ++i) {
      const auto bytes = engine_->ExportCodebook("c", 1);
      EXPECT_TRUE(bytes.ok()) << bytes.status();
      if (!bytes.ok() || *bytes == last) return last;
      last = *bytes;
      absl::SleepFor(absl::Seconds(1));
    }
    ADD_FAILURE() << "the centroids still move";
    return last;
  }

  // Every code stands for its vector, as closely as its record says, under the exported codebook.
  void CheckCodes() {
    const CatalogRecord catalog = OnlyCollection(*store_);
    const auto bytes = engine_->ExportCodebook("c", 0);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto codebook = Codebook::Parse(*bytes);
    ASSERT_TRUE(codebook.ok()) << codebook.status();
    const KeyRange range = CodesRange(catalog.id, catalog.codebook_version);
    auto it = store_->Scan(Family::kCodes, range.begin, range.end, /*bulk=*/true);
    size_t codes = 0;
    std::vector<float> decoded(kDimension);
    for (; it->Valid(); it->Next(), ++codes) {
      CodeKeyParts key;
      CodeRecordView code;
      ASSERT_TRUE(ParseCodeKey(it->key(), &key).ok());
      ASSERT_TRUE(DecodeCode(it->key(), it->value(), &code).ok());
      const auto* code_bytes = reinterpret_cast<const uint8_t*>(code.code.data());
      ASSERT_TRUE((*codebook)->Decode(key.list, code_bytes, decoded.data()).ok());
      const uint64_t id = std::get<uint64_t>(code.id);
      ASSERT_NEAR(std::sqrt(Distance(rows_.row(id), decoded)), code.error, 1e-3)
          << "id " << id << " in list " << key.list;
    }
    EXPECT_EQ(codes, kAll);
  }

  double Recall(const std::string& collection, const Matrix& queries, uint32_t nprobe) {
    const SearchResult exact = Search(collection, queries, 10, /*exact=*/true);
    SearchRequest request;
    request.collection = collection;
    request.vectors = FloatView(queries);
    request.limit = 10;
    request.nprobe = nprobe;
    // So many that the codes, learnt from other points, do not decide: the lists do.
    request.rerank = 1'500;
    const auto searched = engine_->Search(request);
    EXPECT_TRUE(searched.ok()) << searched.status();
    if (!searched.ok()) return 0;
    const SearchResult& found = *searched;
    size_t hits = 0;
    for (size_t i = 0; i < queries.rows(); ++i) {
      const auto truth = Ids(exact.hits[i]);
      for (uint64_t id : Ids(found.hits[i])) {
        hits += std::find(truth.begin(), truth.end(), id) != truth.end();
      }
    }
    return static_cast<double>(hits) / static_cast<double>(10 * queries.rows());
  }

  std::atomic<bool> splits_held_ = false;
  Matrix rows_;
  std::vector<uint32_t> lengths_;
  uint32_t longest_ = 0;
};

TEST_P(EngineRebalanceTest, ADriftedStreamIsSpreadOverTheLists) {
  std::atomic<bool> stop{false};
  std::thread searcher([&] {
    std::mt19937 random(5);
    while (!stop.load() && !HasFailure())
      CheckSearch(random() % kTrained, 2 + random() % (kLists - 1));
  });
  // Writes the first half of the trained points over and over: they pass through lists that move.
  std::thread writer([&] {
    std::mt19937 random(6);
    while (!stop.load() && !HasFailure()) {
      const size_t begin = random() % (kTrained / 2);
      EXPECT_TRUE(UpsertRows("c", begin, Rows(begin, 50)).ok());
    }
  });
  for (size_t begin = kTrained; begin < kAll; begin += kStep) {
    ASSERT_TRUE(UpsertRows("c", begin, Rows(begin, kStep)).ok());
  }
  AwaitBalance();
  stop = true;
  searcher.join();
  writer.join();
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_NO_FATAL_FAILURE(AwaitBalance());
  CheckCodes();

  Create("fresh", kDimension, Metric::kL2, ElementType::kFloat32, GetParam());
  ASSERT_TRUE(UpsertRows("fresh", 0, rows_).ok());
  Train("fresh", kLists);
  const Matrix queries = RowsAround(6, 0.5, 200, 150, kDimension, 4);
  for (const uint32_t nprobe : {6u, 12u}) {
    const double recall = Recall("c", queries, nprobe);
    const double fresh = Recall("fresh", queries, nprobe);
    std::printf("recall@10 at nprobe %u: %.4f after splitting, %.4f fresh; longest list %u\n",
                nprobe, recall, fresh, longest_);
    // The course of the stream decides where the splits fall; collection_rebalance_test has one.
    EXPECT_GE(recall, fresh - 0.04);
  }
  ASSERT_TRUE(engine_->DeleteCollection("fresh").ok());
  const std::vector<uint32_t> lengths = ListLengths(*store_, kLists);
  const SearchResult before = Search("c", queries, 10, /*exact=*/false, 3);
  Reopen();
  const SearchResult after = Search("c", queries, 10, /*exact=*/false, 3);
  for (size_t i = 0; i < queries.rows(); ++i) EXPECT_EQ(Ids(before.hits[i]), Ids(after.hits[i]));
  EXPECT_EQ(ListLengths(*store_, kLists), lengths);
  CheckCodes();
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  const auto report = CheckDataDirectory(directory_, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
  EXPECT_EQ(report->leftover_records, 0u);
}

// A version is what its lists have made of it, also when it is no longer in use.
TEST_P(EngineRebalanceTest, ACodebookKeepsTheCentroidsThatMoved) {
  const auto trained = engine_->GetCodebook("c", 1);
  ASSERT_TRUE(trained.ok());
  for (size_t begin = kTrained; begin < kAll; begin += kStep) {
    ASSERT_TRUE(UpsertRows("c", begin, Rows(begin, kStep)).ok());
  }
  ASSERT_NO_FATAL_FAILURE(AwaitBalance());
  const std::string exported = AwaitedExport();
  const auto moved = engine_->GetCodebook("c", 1);
  ASSERT_TRUE(moved.ok());
  EXPECT_NE(moved->content_hash, trained->content_hash);
  EXPECT_EQ(moved->size_bytes, exported.size());
  Train("c", kLists);
  EXPECT_EQ(*engine_->ExportCodebook("c", 1), exported);
  const auto listed = engine_->ListCodebooks("c");
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[0].content_hash, moved->content_hash);
  // In use again, its lists that could not be split are tried anew.
  splits_held_ = true;
  const auto activated = Await(engine_->ActivateCodebook("c", 1));
  ASSERT_TRUE(activated.ok()) << activated.status();
  ASSERT_EQ(activated->state, OperationState::kSucceeded) << activated->error;
  EXPECT_EQ(*engine_->ExportCodebook("c", 0), exported);
  CheckCodes();
  splits_held_ = false;
  // With the version go its centroids: a later codebook of its number has none of them.
  ASSERT_TRUE(engine_->DeleteCodebook("c", 2).ok());
  Train("c", kLists);
  ASSERT_TRUE(engine_->DeleteCodebook("c", 1).ok());
  const CatalogRecord catalog = OnlyCollection(*store_);
  const KeyRange range = CodebookRange(catalog.id, 1);
  EXPECT_FALSE(store_->Scan(Family::kCodebooks, range.begin, range.end, /*bulk=*/false)->Valid());
}

INSTANTIATE_TEST_SUITE_P(Placements, EngineRebalanceTest,
                         testing::Values(VectorPlacement::kMemory, VectorPlacement::kDisk),
                         [](const auto& info) {
                           return info.param == VectorPlacement::kMemory ? "Memory" : "Disk";
                         });

}  // namespace
}  // namespace tessera
