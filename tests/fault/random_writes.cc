#include "tests/fault/random_writes.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

constexpr uint64_t kIds = 400;
constexpr size_t kUpsertPointsMost = 30;
constexpr size_t kDeletePointsMost = 25;

}  // namespace

std::vector<float> RandomWrites::Vector(std::mt19937_64& random) {
  // Around a few centres, so that there is something to cluster. Whole numbers, which are the same
  // in every process.
  std::vector<float> vector;
  const uint64_t centre = random() % 12;
  for (size_t j = 0; j < kDimension; ++j) {
    vector.push_back(static_cast<float>(centre * (j + 3) * 37 % 100 + random() % 9));
  }
  return vector;
}

std::vector<PointId> RandomWrites::SomeIds(size_t count_max) {
  std::set<PointId> ids;
  for (size_t i = 0, count = 1 + random_() % count_max; i < count; ++i) {
    const uint64_t number = random_() % kIds;
    ids.insert(number % 3 == 0 ? PointId(absl::StrCat("id-", number)) : PointId(number));
  }
  return {ids.begin(), ids.end()};
}

RandomWrites::Write RandomWrites::Next() {
  Write write;
  write.deletes = random_() % 3 == 0;
  write.durability = random_() % 4 == 0 ? Durability::kAsync : Durability::kSync;
  ++made_;
  if (random_() % 16 == 0) {
    write.request_id = absl::StrCat("life ", seed_, ", write ", made_);
    write.bound = static_cast<int64_t>(random_() % 600);
    return write;
  }
  write.ids = SomeIds(write.deletes ? kDeletePointsMost : kUpsertPointsMost);
  if (write.deletes) return write;
  for (size_t i = 0; i < write.ids.size(); ++i) {
    write.points.push_back({Vector(random_), absl::StrCat("{\"n\":", random_() % 1'000, "}")});
  }
  return write;
}

absl::Status RandomWrites::CreateCollection(Engine& engine) {
  CollectionSpec spec;
  spec.name = kCollection;
  spec.dimension = kDimension;
  spec.metric = Metric::kL2;
  return engine.CreateCollection(spec).status();
}

absl::StatusOr<WriteResult> RandomWrites::Apply(Engine& engine, const Write& write) {
  WriteOptions options;
  options.durability = write.durability;
  if (!write.request_id.empty()) {
    options.request_id = write.request_id;
    return engine.DeleteByFilter(kCollection, NumberBelow(write.bound), options);
  }
  if (write.deletes) return engine.DeletePoints(kCollection, write.ids, options);
  UpsertBatch batch;
  batch.ids = write.ids;
  batch.options = options;
  std::vector<float> rows;
  for (const Model::Point& point : write.points) {
    rows.insert(rows.end(), point.vector.begin(), point.vector.end());
    batch.payloads.push_back(point.payload);
  }
  batch.vectors = {reinterpret_cast<const std::byte*>(rows.data()), ElementType::kFloat32,
                   write.ids.size(), kDimension};
  return engine.Upsert(kCollection, batch);
}

WriteResult RandomWrites::Apply(Model& model, const Write& write) {
  if (!write.request_id.empty()) return model.DeleteBelow(write.bound);
  return write.deletes ? model.Delete(write.ids) : model.Upsert(write.ids, write.points);
}

}  // namespace tessera
