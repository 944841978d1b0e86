#include "tests/fault/workload.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"

namespace tessera {
namespace {

constexpr char kName[] = "c";
constexpr size_t kDimension = 4;
constexpr uint64_t kPointsPerWrite = 6;

bool IsDelete(uint64_t n) { return n % 6 == 5; }
// By filter: of the points of some writes before it.
bool IsDeleteByFilter(uint64_t n) { return n % 6 == 3; }
constexpr uint64_t kDeletedByFilter = 14;
// So that such a deletion leaves records, which are removed in steps.
constexpr size_t kDeletionStep = 3;

// The ids that a write touches: half of them are those of the write before.
uint64_t FirstId(uint64_t n) { return n * kPointsPerWrite / 2; }

std::string Payload(uint64_t n, uint64_t id) {
  return absl::StrCat(R"({"write":)", n, R"(,"id":)", id, "}");
}

std::vector<uint8_t> Vectors(uint64_t n) {
  std::vector<uint8_t> values;
  for (uint64_t i = 0; i < kPointsPerWrite * kDimension; ++i) {
    values.push_back(static_cast<uint8_t>(n * 31 + i * 7));
  }
  return values;
}

void AwaitEnd(Engine& engine, absl::StatusOr<OperationInfo> operation) {
  while (operation.ok() && operation->state == OperationState::kRunning) {
    operation = engine.AwaitOperation(operation->id, operation->revision, absl::Seconds(1));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Workload::Open(const std::string& data_dir,
                                                       std::unique_ptr<Store> store,
                                                       Executor& executor) {
  EngineOptions options;
  options.snapshot_path = data_dir + "/snapshots";
  options.row_path = data_dir + "/rows";
  options.deletion_step_points = kDeletionStep;
  return Engine::Open(std::move(store), executor, options);
}

absl::Status Workload::Write(Engine& engine, uint64_t n) {
  if (n == 0) {
    CollectionSpec spec;
    spec.name = kName;
    spec.dimension = kDimension;
    spec.metric = Metric::kL2;
    spec.element_type = ElementType::kUint8;
    return engine.CreateCollection(spec).status();
  }
  if (IsDeleteByFilter(n)) {
    NumberRange range;
    range.bounds.lt = static_cast<Number>(FirstId(n));
    range.bounds.gte = static_cast<Number>(FirstId(n)) - kDeletedByFilter;
    Filter filter;
    filter.must.push_back({FieldCondition{FieldPath("id"), range}});
    return engine.DeleteByFilter(kName, filter, {.request_id = absl::StrCat("write ", n)}).status();
  }
  std::vector<PointId> ids;
  for (uint64_t id = FirstId(n); id < FirstId(n) + kPointsPerWrite; ++id) ids.emplace_back(id);
  if (IsDelete(n)) return engine.DeletePoints(kName, ids, {}).status();
  UpsertBatch batch;
  batch.ids = ids;
  const std::vector<uint8_t> values = Vectors(n);
  batch.vectors = {reinterpret_cast<const std::byte*>(values.data()), ElementType::kUint8,
                   kPointsPerWrite, kDimension};
  for (uint64_t i = 0; i < kPointsPerWrite; ++i) {
    batch.payloads.push_back(Payload(n, FirstId(n) + i));
  }
  return engine.Upsert(kName, batch).status();
}

void Workload::WorkAfter(Engine& engine, uint64_t n) {
  if (n == 8) AwaitEnd(engine, engine.Train({.collection = kName, .nlist = 2}));
  if (n == 14) AwaitEnd(engine, engine.snapshots().Create(kName));
  if (n == 18) AwaitEnd(engine, engine.Train({.collection = kName, .nlist = 3}));
}

Workload::Points Workload::After(uint64_t writes) {
  Points points;
  for (uint64_t n = 1; n < writes; ++n) {
    if (IsDeleteByFilter(n)) {
      std::erase_if(points, [n](const auto& point) {
        return point.first < FirstId(n) && point.first + kDeletedByFilter >= FirstId(n);
      });
      continue;
    }
    for (uint64_t id = FirstId(n); id < FirstId(n) + kPointsPerWrite; ++id) {
      if (IsDelete(n)) {
        points.erase(id);
      } else {
        points[id] = Payload(n, id);
      }
    }
  }
  return points;
}

absl::StatusOr<Workload::Points> Workload::Held(Engine& engine) {
  Points points;
  if (absl::IsNotFound(engine.GetCollection(kName).status())) return points;
  ElementType type;
  ASSIGN_OR_RETURN(
      const ScrollPage page,
      engine.ScrollPoints(kName, 1'000, "", {}, {.payload = {.enabled = true}}, &type));
  for (const PointData& point : page.points) {
    points[std::get<uint64_t>(point.id)] = point.payload;
  }
  ASSIGN_OR_RETURN(const uint64_t count, engine.CountPoints(kName, {}));
  if (count != points.size()) return absl::InternalError("count and scroll disagree");
  if (points.empty()) return points;
  SearchRequest request;
  request.collection = kName;
  const std::vector<uint8_t> query(kDimension, 100);
  request.vectors = {reinterpret_cast<const std::byte*>(query.data()), ElementType::kUint8, 1,
                     kDimension};
  request.limit = 1'000;
  for (const bool exact : {false, true}) {
    request.exact = exact;
    request.nprobe = 3;
    ASSIGN_OR_RETURN(const SearchResult result, engine.Search(request));
    for (const Hit& hit : result.hits[0]) {
      if (!points.contains(std::get<uint64_t>(hit.id))) {
        return absl::InternalError("a search found a point that scroll does not have");
      }
    }
    if (result.hits[0].size() != points.size()) {
      return absl::InternalError("search and scroll disagree");
    }
  }
  return points;
}

}  // namespace tessera
