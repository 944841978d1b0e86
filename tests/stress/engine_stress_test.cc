// Upserts, deletes, searches, trainings, compactions and snapshots on one engine at once: for
// ThreadSanitizer, and for what gets stuck or contradicts itself without it.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/engine/engine.h"
#include "server/engine/errors.h"
#include "server/engine/thread_pool_executor.h"
#include "server/storage/rocksdb_store.h"
#include "tests/environment.h"
#include "tests/server/engine/placement_name.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr char kName[] = "c";
constexpr size_t kDimension = 8;
constexpr uint64_t kIds = 8'000;
constexpr uint64_t kValues = 100;  // of the field `a`

absl::Duration StressTime() { return absl::Seconds(FromEnvironment("TESSERA_STRESS_SECONDS", 2)); }

class EngineStressTest : public testing::TestWithParam<VectorPlacement> {
 protected:
  void SetUp() override {
    auto store = OpenRocksDbStore({.path = dir_.path() + "/store"});
    ASSERT_TRUE(store.ok()) << store.status();
    EngineOptions options;
    options.snapshot_path = dir_.path() + "/snapshots";
    options.row_path = dir_.path() + "/rows";
    options.quiet_before_compaction = absl::Milliseconds(50);
    options.deletion_step_points = 50;
    options.search_executor = &executor_;
    options.verify_core_share = 1;
    auto engine = Engine::Open(*std::move(store), executor_, options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    CollectionSpec spec;
    spec.name = kName;
    spec.dimension = kDimension;
    spec.metric = Metric::kL2;
    spec.index.vectors = GetParam();
    ASSERT_TRUE(engine_->CreateCollection(spec).ok());
    ASSERT_EQ(CreateIndex(), absl::OkStatus());
  }

  // Calls `body` again and again in a thread of its own, until the time is over.
  void Repeat(const char* what, std::function<absl::Status(std::mt19937_64&)> body) {
    threads_.emplace_back([this, what, body, seed = threads_.size()] {
      std::mt19937_64 random(seed);
      uint64_t rounds = 0;
      while (absl::Now() < end_) {
        const absl::Status status = body(random);
        // Refusals of one kind of long work while another runs are right.
        if (!status.ok() && !absl::IsFailedPrecondition(status)) {
          ADD_FAILURE() << what << ": " << status;
          return;
        }
        rounds += status.ok();
      }
      EXPECT_GT(rounds, 0u) << what;
      log_.fetch_add(rounds);
    });
  }

  static std::vector<float> Vectors(std::mt19937_64& random, size_t rows) {
    std::vector<float> values(rows * kDimension);
    for (float& value : values) value = static_cast<float>(random() % 1'000) / 100;
    return values;
  }
  static VectorsView View(const std::vector<float>& values) {
    return {reinterpret_cast<const std::byte*>(values.data()), ElementType::kFloat32,
            values.size() / kDimension, kDimension};
  }

  absl::Status Upsert(std::mt19937_64& random) {
    UpsertBatch batch;
    const uint64_t first = random() % kIds;
    for (uint64_t i = 0; i < 20; ++i) batch.ids.emplace_back(first + i);
    const std::vector<float> values = Vectors(random, batch.ids.size());
    batch.vectors = View(values);
    for (uint64_t i = 0; i < 20; ++i) {
      batch.payloads.push_back(absl::StrCat("{\"a\": ", (first + i) % kValues, "}"));
    }
    return engine_->Upsert(kName, batch).status();
  }
  absl::Status Delete(std::mt19937_64& random) {
    std::vector<PointId> ids;
    const uint64_t first = random() % kIds;
    for (uint64_t i = 0; i < 10; ++i) ids.emplace_back(first + i);
    return engine_->DeletePoints(kName, ids, {}).status();
  }
  // Of points whose `a` is in some ten values: mostly more than are removed at once.
  absl::Status DeleteByFilter(std::mt19937_64& random) {
    absl::SleepFor(absl::Milliseconds(20));
    const uint64_t first = random() % kValues;
    Filter filter;
    filter.must.push_back({FieldCondition{
        FieldPath("a"),
        NumberRange{{.lt = static_cast<Number>(first + 10), .gte = static_cast<Number>(first)}}}});
    return engine_->DeleteByFilter(kName, filter, {}).status();
  }
  // Of many queries, it goes in parts.
  absl::Status Search(std::mt19937_64& random, size_t queries) {
    SearchRequest request;
    request.collection = kName;
    const std::vector<float> values = Vectors(random, queries);
    request.vectors = View(values);
    request.limit = 10;
    request.exact = random() % 4 == 0;
    request.fields.payload.enabled = random() % 2 == 0;
    request.may_wait = random() % 2 == 0;
    const auto result = engine_->Search(request);
    if (MustWait(result.status())) return absl::OkStatus();
    if (!result.ok()) return result.status();
    for (const auto& hits : result->hits) {
      for (size_t i = 0; i < hits.size(); ++i) {
        if (std::get<uint64_t>(hits[i].id) >= kIds + 20 ||
            (i > 0 && hits[i].score < hits[i - 1].score)) {
          return absl::InternalError("hits out of order, or of no point");
        }
      }
    }
    return absl::OkStatus();
  }
  // For points whose `a`, which goes by their id, is one value or more, and perhaps below another.
  absl::Status SearchFiltered(std::mt19937_64& random) {
    const uint64_t bound = random() % (kValues / 2);
    const uint64_t end = random() % 2 == 0 ? kValues : bound + 30;
    SearchRequest request;
    request.collection = kName;
    const std::vector<float> values = Vectors(random, 1 + random() % 2);
    request.vectors = View(values);
    request.limit = 10;
    request.filter.must.push_back(
        {FieldCondition{FieldPath("a"), NumberRange{{.gte = static_cast<Number>(bound)}}}});
    if (end < kValues) {
      request.filter.must_not.push_back(
          {FieldCondition{FieldPath("a"), NumberRange{{.gte = static_cast<Number>(end)}}}});
    }
    const auto result = engine_->Search(request);
    if (!result.ok()) return result.status();
    for (const auto& hits : result->hits) {
      for (const Hit& hit : hits) {
        const uint64_t value = std::get<uint64_t>(hit.id) % kValues;
        if (value >= bound && value < end) continue;
        return absl::InternalError(absl::StrCat(value, " is not from ", bound, " to ", end));
      }
    }
    return absl::OkStatus();
  }
  absl::Status CreateIndex() {
    return Await(engine_->CreatePayloadIndex(
        kName, {.key = FieldPath("a"), .type = PayloadIndexType::kInteger}));
  }
  // What was found by an old index must be by a new one, or by payloads while there is none.
  absl::Status RenewIndex() {
    absl::SleepFor(absl::Milliseconds(20));
    if (absl::Status status = engine_->DropPayloadIndex(kName, "a"); !status.ok()) return status;
    return CreateIndex();
  }
  absl::Status Await(absl::StatusOr<OperationInfo> operation) {
    while (operation.ok() && operation->state == OperationState::kRunning) {
      operation = engine_->AwaitOperation(operation->id, operation->revision, absl::Seconds(1));
    }
    if (!operation.ok()) return operation.status();
    return operation->error;
  }
  absl::Status Snapshot() {
    auto operation = engine_->snapshots().Create(kName);
    if (!operation.ok()) return operation.status();
    const std::string operation_id = operation->id;
    if (absl::Status status = Await(std::move(operation)); !status.ok()) return status;
    const auto ended = engine_->GetOperation(operation_id);
    if (!ended.ok()) return ended.status();
    const std::string id = ended->snapshot_id;
    if (absl::Status status =
            Await(engine_->snapshots().Restore({.snapshot_id = id, .collection = "copy"}));
        !status.ok()) {
      return status;
    }
    if (absl::Status status = engine_->DeleteCollection("copy"); !status.ok()) return status;
    return engine_->snapshots().Delete(id);
  }

  TempDir dir_{TempDir::Place::kMemory};
  ThreadPoolExecutor executor_{2, 0};
  std::unique_ptr<Engine> engine_;
  absl::Time end_;
  std::atomic<uint64_t> log_{0};
  std::vector<std::thread> threads_;
};

TEST_P(EngineStressTest, AllAtOnce) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(Upsert(random).ok());
  end_ = absl::Now() + StressTime();
  Repeat("upsert", [&](std::mt19937_64& r) { return Upsert(r); });
  Repeat("upsert", [&](std::mt19937_64& r) { return Upsert(r); });
  Repeat("delete", [&](std::mt19937_64& r) { return Delete(r); });
  Repeat("delete by filter", [&](std::mt19937_64& r) { return DeleteByFilter(r); });
  Repeat("search", [&](std::mt19937_64& r) { return Search(r, 4); });
  Repeat("search in parts", [&](std::mt19937_64& r) { return Search(r, 400); });
  Repeat("filtered search", [&](std::mt19937_64& r) { return SearchFiltered(r); });
  Repeat("payload index", [&](std::mt19937_64&) { return RenewIndex(); });
  Repeat("train", [&](std::mt19937_64& r) {
    return Await(engine_->Train(
        {.collection = kName, .nlist = static_cast<uint32_t>(4 + r() % 12), .seed = r()}));
  });
  Repeat("snapshot", [&](std::mt19937_64&) { return Snapshot(); });
  Repeat("info", [&](std::mt19937_64&) {
    absl::SleepFor(absl::Milliseconds(1));
    return engine_->ListCollections("", 10).empty() ? absl::InternalError("no collection")
                                                    : absl::OkStatus();
  });
  for (std::thread& thread : threads_) thread.join();
  std::cout << log_ << " calls" << std::endl;
  ElementType type;
  const auto page = engine_->ScrollPoints(kName, 10'000, "", {}, {}, &type);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(engine_->CountPoints(kName, {}).value_or(0), page->points.size());
  EXPECT_EQ(engine_->Close(), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Placements, EngineStressTest,
                         testing::Values(VectorPlacement::kMemory, VectorPlacement::kDisk,
                                         VectorPlacement::kDiskSq8),
                         [](const auto& info) { return PlacementName(info.param); });

}  // namespace
}  // namespace tessera
