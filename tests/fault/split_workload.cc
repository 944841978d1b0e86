#include "tests/fault/split_workload.h"

#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/engine.h"
#include "server/storage/rocksdb_store.h"

namespace tessera {
namespace {

constexpr char kName[] = "c";
constexpr size_t kDimension = 8;
constexpr uint64_t kTrained = 80;
constexpr uint64_t kStepsAllowed = 500;

// The first are far from each other, all others close together: they go into one list.
UpsertBatch PointBatch(uint64_t begin, uint64_t end, std::vector<uint8_t>* values) {
  UpsertBatch batch;
  values->clear();
  for (uint64_t id = begin; id < end; ++id) {
    std::mt19937_64 random(id);
    batch.ids.emplace_back(id);
    for (size_t d = 0; d < kDimension; ++d) {
      values->push_back(static_cast<uint8_t>(id < kTrained ? random() % 200 : 235 + random() % 20));
    }
  }
  batch.vectors = {reinterpret_cast<const std::byte*>(values->data()), ElementType::kUint8,
                   end - begin, kDimension};
  return batch;
}

absl::StatusOr<std::unique_ptr<Collection>> OpenCollection(Store& store, Executor& executor) {
  const KeyRange range = CatalogRange();
  auto it = store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  RETURN_IF_ERROR(it->status());
  if (!it->Valid()) return absl::NotFoundError("no collection");
  CatalogRecord record;
  RETURN_IF_ERROR(DecodeCatalog(it->key(), it->value(), &record));
  auto collection = std::make_unique<Collection>(
      store, executor, record, Collection::Hooks{[] {}, [] {}}, Collection::Options{});
  RecoveryProgress progress(absl::InfiniteDuration(), {});
  RETURN_IF_ERROR(collection->Recover(progress));
  return collection;
}

absl::Status PrepareTrained(const std::string& data_dir, Executor& executor) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                   OpenRocksDbStore({.path = data_dir + "/store", .free_disk_bytes_min = 0}));
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   Engine::Open(std::move(store), executor, {}));
  CollectionSpec spec;
  spec.name = kName;
  spec.dimension = kDimension;
  spec.metric = Metric::kL2;
  spec.element_type = ElementType::kUint8;
  spec.index.vectors = VectorPlacement::kDisk;
  RETURN_IF_ERROR(engine->CreateCollection(spec).status());
  std::vector<uint8_t> values;
  RETURN_IF_ERROR(engine->Upsert(kName, PointBatch(0, kTrained, &values)).status());
  auto operation = engine->Train({.collection = kName, .nlist = SplitWorkload::kLists});
  while (operation.ok() && operation->state == OperationState::kRunning) {
    operation = engine->AwaitOperation(operation->id, operation->revision, absl::Seconds(1));
  }
  RETURN_IF_ERROR(operation.status());
  RETURN_IF_ERROR(operation->error);
  return engine->Close();
}

}  // namespace

absl::Status SplitWorkload::Prepare(const std::string& data_dir) {
  InlineExecutor executor;
  RETURN_IF_ERROR(PrepareTrained(data_dir, executor));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                   OpenRocksDbStore({.path = data_dir + "/store", .free_disk_bytes_min = 0}));
  ASSIGN_OR_RETURN(const auto collection, OpenCollection(*store, executor));
  std::vector<uint8_t> values;
  RETURN_IF_ERROR(collection->Upsert(PointBatch(kTrained, kPoints, &values)).status());
  return store->Close();
}

absl::Status SplitWorkload::Run(Store& store, const std::function<bool(uint64_t)>& written) {
  InlineExecutor executor;
  ASSIGN_OR_RETURN(const auto collection, OpenCollection(store, executor));
  absl::Time now = absl::Now();
  for (uint64_t writes = 0; writes < kStepsAllowed; ++writes) {
    const uint64_t begin = kPoints + writes * kPointsPerWrite;
    std::vector<uint8_t> values;
    RETURN_IF_ERROR(
        collection->Upsert(PointBatch(begin, begin + kPointsPerWrite, &values)).status());
    if (!written(writes + 1)) return absl::OkStatus();
    now += absl::Minutes(10);  // a step that failed is due again
    if (!collection->Maintain(now) && !collection->IsSplitDue(now + absl::Minutes(10))) {
      return absl::OkStatus();
    }
  }
  return absl::DeadlineExceededError("splitting has no end");
}

absl::Status SplitWorkload::Check(const std::string& data_dir, uint64_t writes) {
  InlineExecutor executor;
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                   OpenRocksDbStore({.path = data_dir + "/store", .free_disk_bytes_min = 0}));
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   Engine::Open(std::move(store), executor, {}));
  const uint64_t expected = kPoints + writes * kPointsPerWrite;
  ASSIGN_OR_RETURN(const uint64_t count, engine->CountPoints(kName, {}));
  if (count != expected) {
    return absl::InternalError(absl::StrCat(count, " points instead of ", expected));
  }
  SearchRequest request;
  request.collection = kName;
  const std::vector<uint8_t> query(kDimension, 240);
  request.vectors = {reinterpret_cast<const std::byte*>(query.data()), ElementType::kUint8, 1,
                     kDimension};
  request.limit = 10'000;
  request.nprobe = kLists;
  ASSIGN_OR_RETURN(const SearchResult found, engine->Search(request));
  std::vector<bool> seen(expected);
  for (const Hit& hit : found.hits[0]) {
    const uint64_t id = std::get<uint64_t>(hit.id);
    if (id >= expected || seen[id]) {
      return absl::InternalError(absl::StrCat("id ", id, " was found twice, or was never written"));
    }
    seen[id] = true;
  }
  if (found.hits[0].size() != expected) {
    return absl::InternalError(absl::StrCat(found.hits[0].size(), " found of ", expected));
  }
  return engine->Close();
}

}  // namespace tessera
