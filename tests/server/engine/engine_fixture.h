#ifndef TESSERA_TESTS_SERVER_ENGINE_ENGINE_FIXTURE_H_
#define TESSERA_TESTS_SERVER_ENGINE_ENGINE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "index/base/executor.h"
#include "server/engine/engine.h"
#include "server/engine/errors.h"
#include "server/storage/rocksdb_store.h"
#include "tests/server/engine/placement_name.h"

namespace tessera {

// An engine over a real store in a directory of its own, which can be closed and opened again.
class EngineFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tessera-engine-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    engine_options_.row_path = directory_ + "/rows";
    Open();
  }
  void TearDown() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Open() {
    RocksDbOptions options;
    options.path = directory_ + "/store";
    auto store = OpenRocksDbStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = store->get();
    auto engine = Engine::Open(Wrapped(*std::move(store)), executor_, engine_options_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  // What a test puts between the engine and its store.
  virtual std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) { return store; }
  void Reopen() {
    ASSERT_TRUE(engine_->Close().ok());
    engine_.reset();
    Open();
  }

  // A collection of `dimension` with the server's defaults.
  void Create(const std::string& name, uint32_t dimension, Metric metric = Metric::kL2,
              ElementType type = ElementType::kFloat32,
              VectorPlacement placement = VectorPlacement::kMemory) {
    CollectionSpec spec;
    spec.name = name;
    spec.dimension = dimension;
    spec.metric = metric;
    spec.element_type = type;
    spec.index.vectors = placement;
    auto info = engine_->CreateCollection(spec);
    ASSERT_TRUE(info.ok()) << info.status();
  }

  // Upserts rows first_id, first_id + 1, ...
  absl::StatusOr<WriteResult> UpsertRows(const std::string& name, uint64_t first_id,
                                         const Matrix& rows, const std::string& payload = "") {
    UpsertBatch batch;
    for (size_t i = 0; i < rows.rows(); ++i) batch.ids.push_back(PointId(first_id + i));
    batch.vectors = FloatView(rows);
    if (!payload.empty()) batch.payloads.assign(rows.rows(), payload);
    return engine_->Upsert(name, batch);
  }

  static VectorsView FloatView(const Matrix& rows) {
    return {reinterpret_cast<const std::byte*>(rows.data()), ElementType::kFloat32, rows.rows(),
            rows.cols()};
  }

  // Rows around a few centres, so that there is something to cluster.
  static Matrix ClusteredRows(size_t rows, size_t cols, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    constexpr size_t kCentres = 20;
    Matrix centres(kCentres, cols);
    std::mt19937 centre_random(7);
    for (size_t i = 0; i < kCentres * cols; ++i) centres.data()[i] = 3 * normal(centre_random);
    Matrix matrix(rows, cols);
    for (size_t i = 0; i < rows; ++i) {
      const auto centre = centres.row(random() % kCentres);
      for (size_t j = 0; j < cols; ++j) matrix.row(i)[j] = centre[j] + normal(random);
    }
    return matrix;
  }

  absl::StatusOr<OperationInfo> Await(absl::StatusOr<OperationInfo> operation) {
    while (operation.ok() && operation->state == OperationState::kRunning) {
      operation = engine_->AwaitOperation(operation->id, operation->revision, absl::Seconds(5));
    }
    return operation;
  }
  // Of collection "c".
  void Index(const std::string& key, PayloadIndexType type) {
    const auto operation = Await(engine_->CreatePayloadIndex("c", {FieldPath(key), type}));
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  }
  void Train(const std::string& name, uint32_t nlist = 0) {
    TrainRequest request;
    request.collection = name;
    request.nlist = nlist;
    auto operation = Await(engine_->Train(request));
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_EQ(operation->state, OperationState::kSucceeded) << operation->error;
  }

  SearchResult Search(const std::string& name, const Matrix& queries, size_t limit,
                      bool exact = false, uint32_t nprobe = 0) {
    SearchRequest request;
    request.collection = name;
    request.vectors = FloatView(queries);
    request.limit = limit;
    request.exact = exact;
    request.nprobe = nprobe;
    auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult{};
  }
  static std::vector<uint64_t> Ids(const std::vector<Hit>& hits) {
    std::vector<uint64_t> ids;
    for (const Hit& hit : hits) ids.push_back(std::get<uint64_t>(hit.id));
    return ids;
  }

  std::string directory_;
  InlineExecutor executor_;
  EngineOptions engine_options_;
  Store* store_ = nullptr;  // of engine_
  std::unique_ptr<Engine> engine_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_ENGINE_FIXTURE_H_
