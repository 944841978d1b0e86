// Splitting long lists, step by step: a store that is left after any step is whole.
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/codebook/codebook.h"
#include "index/ivf/list_balance.h"
#include "server/engine/collection.h"
#include "server/fsck/fsck.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/engine/list_lengths.h"
#include "tests/server/engine/store_wrapper.h"

namespace tessera {
namespace {

constexpr uint32_t kDimension = 8;
constexpr uint32_t kLists = 32;
constexpr size_t kTrained = 600;
constexpr size_t kDrifted = 7'000;
constexpr size_t kAll = kTrained + kDrifted;
constexpr int kStepsAllowed = 200;

std::unique_ptr<Store> OpenStore(const std::string& path) {
  auto store = OpenRocksDbStore({.path = path, .free_disk_bytes_min = 0});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// A collection without the engine, so that nothing is done but what the test asks for.
class CollectionRebalanceTest : public EngineFixture {
 protected:
  // Writes a trained collection with `drifted` behind its points; all of it is in store_path_.
  void Prepare(MatrixView drifted) {
    rows_ = Matrix(kTrained + drifted.rows, kDimension);
    const Matrix trained = RowsAround(0, 3, 40, kTrained, kDimension, 2);
    std::copy_n(trained.data(), kTrained * kDimension, rows_.data());
    std::copy_n(drifted.data, drifted.rows * kDimension, rows_.row(kTrained).data());
    Create("c", kDimension);
    ASSERT_TRUE(UpsertRows("c", 0, trained).ok());
    Train("c", kLists);
    ASSERT_TRUE(engine_->Close().ok());
    engine_.reset();
    store_path_ = directory_ + "/store";
    auto store = OpenStore(store_path_);
    const auto collection = OpenCollection(*store);
    UpsertBatch batch;
    for (size_t i = 0; i < drifted.rows; ++i) batch.ids.emplace_back(uint64_t{kTrained + i});
    batch.vectors = {reinterpret_cast<const std::byte*>(drifted.data), ElementType::kFloat32,
                     drifted.rows, drifted.cols};
    const auto written = collection->Upsert(batch);
    ASSERT_TRUE(written.ok()) << written.status();
  }

  std::unique_ptr<Collection> OpenCollection(Store& store) {
    auto collection =
        std::make_unique<Collection>(store, executor_, OnlyCollection(store),
                                     Collection::Hooks{[] {}, [] {}}, Collection::Options{});
    RecoveryProgress progress(absl::InfiniteDuration(), {});
    const absl::Status status = collection->Recover(progress);
    EXPECT_TRUE(status.ok()) << status;
    return collection;
  }

  // Every point is found once, with its own distance, in the lists as in an exact search; every
  // code stands for its vector.
  void CheckWhole(Store& store, const Collection& collection) {
    SearchRequest request;
    request.collection = "c";
    const Matrix query = RowsAround(6, 0.5, 1, 1, kDimension, 9);
    request.vectors = FloatView(query);
    request.limit = 10'000;
    request.nprobe = kLists;
    request.rerank = 100'000;
    const auto result = collection.Search(request);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->report.codes_scanned, rows_.rows());
    std::set<uint64_t> seen;
    for (const Hit& hit : result->hits[0]) {
      const uint64_t id = std::get<uint64_t>(hit.id);
      EXPECT_TRUE(seen.insert(id).second) << id << " came twice";
    }
    EXPECT_EQ(seen.size(), std::min<size_t>(rows_.rows(), request.limit));
    CheckRange(collection, query);
    CheckCodes(store, collection);
  }
  // A range search, which goes by the bounds of codes, finds all that are within its radius.
  void CheckRange(const Collection& collection, const Matrix& query) {
    std::vector<float> distances;
    for (size_t i = 0; i < rows_.rows(); ++i) {
      float sum = 0;
      for (size_t j = 0; j < kDimension; ++j) {
        const float d = query.row(0)[j] - rows_.row(i)[j];
        sum += d * d;
      }
      distances.push_back(sum);
    }
    std::sort(distances.begin(), distances.end());
    // The edge lies where there is a gap that no rounding bridges.
    size_t within = distances.size() / 3;
    distances.push_back(2 * distances.back() + 1);
    while (distances[within] - distances[within - 1] < 1e-4f * distances[within]) ++within;
    RangeRequest request;
    request.vector = FloatView(query);
    request.radius = (distances[within - 1] + distances[within]) / 2;
    request.page_size = 10'000;
    const auto result = collection.SearchRange(request);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->hits.size(), within);
  }
  void CheckCodes(Store& store, const Collection& collection) {
    const CatalogRecord catalog = OnlyCollection(store);
    const KeyRange range = CodesRange(catalog.id, catalog.codebook_version);
    CodeRows codes;
    std::vector<uint64_t> ids;
    std::vector<float> errors;
    auto it = store.Scan(Family::kCodes, range.begin, range.end, /*bulk=*/true);
    for (; it->Valid(); it->Next()) {
      CodeKeyParts key;
      CodeRecordView code;
      ASSERT_TRUE(ParseCodeKey(it->key(), &key).ok());
      ASSERT_TRUE(DecodeCode(it->key(), it->value(), &code).ok());
      codes.lists.push_back(key.list);
      codes.codes.append(code.code);
      ids.push_back(std::get<uint64_t>(code.id));
      errors.push_back(code.error);
    }
    ASSERT_EQ(ids.size(), rows_.rows());
    const auto vectors = collection.Decode(codes);
    ASSERT_TRUE(vectors.ok()) << vectors.status();
    for (size_t i = 0; i < ids.size(); ++i) {
      float sum = 0;
      for (size_t j = 0; j < kDimension; ++j) {
        const float d = (*vectors)[i * kDimension + j] - rows_.row(ids[i])[j];
        sum += d * d;
      }
      ASSERT_NEAR(std::sqrt(sum), errors[i], 1e-3)
          << "id " << ids[i] << ", list " << codes.lists[i];
    }
  }
  struct Outcome {
    double recall = 0;   // at 10
    double scanned = 0;  // entries a query
  };
  static Outcome Measure(const Collection& collection, const Matrix& queries) {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries);
    request.limit = 10;
    request.nprobe = kLists / 8;
    // So many that the codes, learnt from other points, do not decide: the lists do.
    request.rerank = 5'000;
    const auto found = collection.Search(request);
    request.exact = true;
    const auto exact = collection.Search(request);
    EXPECT_TRUE(found.ok() && exact.ok());
    size_t hits = 0;
    for (size_t i = 0; i < queries.rows(); ++i) {
      const auto truth = Ids(exact->hits[i]);
      for (uint64_t id : Ids(found->hits[i])) {
        hits += std::find(truth.begin(), truth.end(), id) != truth.end();
      }
    }
    const auto n = static_cast<double>(queries.rows());
    return {static_cast<double>(hits) / (10 * n),
            static_cast<double>(found->report.codes_scanned) / n};
  }
  uint32_t Longest(Store& store) {
    const auto lengths = ListLengths(store, kLists);
    return *std::max_element(lengths.begin(), lengths.end());
  }

  Matrix rows_;
  std::string store_path_;
};

// What a kill between two commits leaves, for every commit.
TEST_F(CollectionRebalanceTest, EveryStepLeavesAStoreThatIsWhole) {
  Prepare(RowsAround(6, 0.5, 100, kDrifted, kDimension, 3));
  int steps = 1;
  for (bool more = true; more && !HasFailure(); ++steps) {
    ASSERT_LT(steps, kStepsAllowed) << "splitting has no end";
    SCOPED_TRACE(absl::StrCat("after ", steps, " steps"));
    const std::string data_dir = directory_ + "/data";
    const std::string copy = data_dir + "/store";
    std::filesystem::remove_all(data_dir);
    std::filesystem::create_directory(data_dir);
    std::filesystem::copy(store_path_, copy, std::filesystem::copy_options::recursive);
    {
      auto store = OpenStore(copy);
      const auto collection = OpenCollection(*store);
      ASSERT_GT(Longest(*store), ListSizeMax(kAll, kLists));
      for (int i = 0; i < steps; ++i) more = collection->Maintain(absl::Now());
      CheckWhole(*store, *collection);
    }
    const auto report = CheckDataDirectory(data_dir, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
    EXPECT_EQ(report->leftover_records, 0u);
    auto store = OpenStore(copy);
    const auto collection = OpenCollection(*store);
    CheckWhole(*store, *collection);
    // And what is left is done by whoever comes next.
    for (int i = 0; collection->Maintain(absl::Now()); ++i) ASSERT_LT(i, kStepsAllowed);
    EXPECT_LE(Longest(*store), ListSizeMax(kAll, kLists));
    CheckWhole(*store, *collection);
  }
  EXPECT_GE(steps, 5) << "too few steps to mean anything";
}

// Splits come as the stream does. Afterwards searches find as much as after a training on all of
// it, and look at a small part of what they would have to look at without the splits.
TEST_F(CollectionRebalanceTest, SearchesAreAsAfterATraining) {
  constexpr size_t kStream = 20'000;
  constexpr size_t kStep = 500;
  const Matrix drifted = RowsAround(6, 0.5, 200, kStream, kDimension, 3);
  const Matrix queries = RowsAround(6, 0.5, 200, 300, kDimension, 4);
  Prepare(drifted);               // without a split
  Outcome unsplit, split, fresh;  // of searches of an eighth of the lists
  {
    auto store = OpenStore(store_path_);
    const auto collection = OpenCollection(*store);
    unsplit = Measure(*collection, queries);
    std::vector<PointId> ids;
    for (size_t i = 0; i < kStream; ++i) ids.emplace_back(uint64_t{kTrained + i});
    ASSERT_TRUE(collection->Delete(ids, {}).ok());
    for (size_t begin = 0; begin < kStream; begin += kStep) {
      UpsertBatch batch;
      batch.ids.assign(ids.begin() + begin, ids.begin() + begin + kStep);
      batch.vectors = {reinterpret_cast<const std::byte*>(drifted.row(begin).data()),
                       ElementType::kFloat32, kStep, kDimension};
      ASSERT_TRUE(collection->Upsert(batch).ok());
      for (int i = 0; collection->Maintain(absl::Now()); ++i) ASSERT_LT(i, kStepsAllowed);
    }
    split = Measure(*collection, queries);
    EXPECT_LE(Longest(*store), ListSizeMax(kTrained + kStream, kLists));
    CheckWhole(*store, *collection);
  }
  Open();
  Train("c", kLists);
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  {
    auto store = OpenStore(store_path_);
    fresh = Measure(*OpenCollection(*store), queries);
  }
  std::printf(
      "recall@10 %.4f, %.0f entries scanned a query; without splits %.4f, %.0f; trained anew "
      "%.4f, %.0f\n",
      split.recall, split.scanned, unsplit.recall, unsplit.scanned, fresh.recall, fresh.scanned);
  EXPECT_GE(split.recall, fresh.recall - 0.005);
  EXPECT_LE(split.scanned, unsplit.scanned / 2);
}

TEST_F(CollectionRebalanceTest, PointsThatAreAllAlikeAreLeftTogether) {
  Matrix alike(kDrifted, kDimension);
  for (size_t i = 0; i < kDrifted * kDimension; ++i) alike.data()[i] = 5;
  Prepare(alike);
  auto store = OpenStore(store_path_);
  const auto collection = OpenCollection(*store);
  const uint32_t longest = Longest(*store);
  for (int i = 0; collection->Maintain(absl::Now()); ++i)
    ASSERT_LT(i, kStepsAllowed) << "it has no end";
  EXPECT_EQ(Longest(*store), longest);
  EXPECT_FALSE(collection->Maintain(absl::Now())) << "what is of no use is not tried again";
  CheckWhole(*store, *collection);
}

// A list that writes refill as fast as it gives entries away is not one that cannot be split.
TEST_F(CollectionRebalanceTest, WhatGrowsWhileItIsSplitIsSplitAgain) {
  constexpr size_t kStep = 300;
  Prepare(RowsAround(6, 0.5, 100, 2'000, kDimension, 3));
  auto store = OpenStore(store_path_);
  const auto collection = OpenCollection(*store);
  const auto lengths = ListLengths(*store, kLists);
  const auto longest = std::max_element(lengths.begin(), lengths.end()) - lengths.begin();
  const auto bytes = collection->ExportCodebook(0);
  ASSERT_TRUE(bytes.ok());
  const auto codebook = Codebook::Parse(*bytes);
  ASSERT_TRUE(codebook.ok());
  const auto centroid = (*codebook)->centroids().row(static_cast<size_t>(longest));
  // What comes is nearest to the list's own centroid, and so stays in it until the next split.
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  for (uint64_t id = kAll; collection->Maintain(absl::Now()) && id < 2 * kAll; id += kStep) {
    Matrix rows(kStep, kDimension);
    UpsertBatch batch;
    for (size_t i = 0; i < kStep; ++i) {
      batch.ids.emplace_back(id + i);
      for (size_t j = 0; j < kDimension; ++j) rows.row(i)[j] = centroid[j] + 0.1F * normal(random);
    }
    batch.vectors = FloatView(rows);
    ASSERT_TRUE(collection->Upsert(batch).ok());
  }
  for (int i = 0; collection->Maintain(absl::Now()); ++i) ASSERT_LT(i, kStepsAllowed);
  EXPECT_LE(Longest(*store), ListSizeMax(collection->points(), kLists));
}

// Refuses commits for a while, as a full disk does.
class FullStore : public StoreWrapper {
 public:
  using StoreWrapper::StoreWrapper;
  absl::Status Commit(StoreBatch& batch, Durability durability) override {
    if (full) return absl::ResourceExhaustedError("the disk is full");
    return StoreWrapper::Commit(batch, durability);
  }
  bool full = false;
};

TEST_F(CollectionRebalanceTest, WhatFailedIsTriedAgainWithoutAWrite) {
  Prepare(RowsAround(6, 0.5, 100, kDrifted, kDimension, 3));
  FullStore store(OpenStore(store_path_));
  const auto collection = OpenCollection(store);
  const uint32_t longest = Longest(store);
  ASSERT_GT(longest, ListSizeMax(kAll, kLists));
  store.full = true;
  absl::Time now = absl::Now();
  EXPECT_FALSE(collection->IsSplitDue(now));
  for (int failures = 0; failures < 3; ++failures) {
    for (int i = 0; collection->Maintain(now); ++i) ASSERT_LT(i, kStepsAllowed);
    EXPECT_FALSE(collection->IsSplitDue(now)) << "not at once";
    now += absl::Minutes(10);
    EXPECT_TRUE(collection->IsSplitDue(now));
  }
  EXPECT_EQ(Longest(store), longest);
  CheckWhole(store, *collection);
  store.full = false;
  for (int i = 0; collection->Maintain(now); ++i) ASSERT_LT(i, kStepsAllowed);
  EXPECT_LE(Longest(store), ListSizeMax(kAll, kLists));
  EXPECT_FALSE(collection->IsSplitDue(now + absl::Minutes(10)));
  CheckWhole(store, *collection);
}

TEST(ListLimitsTest, WhatCouldNotBeSplitIsLeftUntilItHasDoubledOrShrunk) {
  std::vector<uint32_t> sizes(16, 10);
  ListLimits limits;
  EXPECT_FALSE(limits.Update(sizes));
  sizes[3] = 3'000;
  EXPECT_TRUE(limits.Update(sizes));
  EXPECT_TRUE(limits.IsOver(3, 3'000));
  limits.Settle(3, 3'000);
  EXPECT_FALSE(limits.Update(sizes));
  EXPECT_FALSE(limits.IsOver(3, 5'999));
  EXPECT_TRUE(limits.IsOver(3, 6'000));
  EXPECT_TRUE(limits.IsOver(4, 3'000)) << "another list is judged by itself";
  sizes[3] = 1'499;
  EXPECT_TRUE(limits.Update(sizes));
  EXPECT_TRUE(limits.IsOver(3, 1'499));
}

TEST(ListLimitsTest, FailuresInARowAreTriedAgainEverMoreRarely) {
  EXPECT_EQ(SplitRetryDelay(1), absl::Seconds(1));
  EXPECT_EQ(SplitRetryDelay(3), absl::Seconds(4));
  EXPECT_EQ(SplitRetryDelay(1'000), absl::Minutes(5));
}

}  // namespace
}  // namespace tessera
