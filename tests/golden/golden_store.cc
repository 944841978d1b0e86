#include "tests/golden/golden_store.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/status_macros.h"
#include "server/engine/record_keys.h"
#include "server/storage/rocksdb_store.h"
#include "tests/server/engine/sweep_holder.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr size_t kByteDimension = 16;
constexpr size_t kFloatDimension = 4;
constexpr size_t kQueries = 8;
constexpr uint64_t kTrained = 60;
constexpr uint64_t kDrifted = 1'100;  // so many that their list is split
constexpr uint32_t kDriftedLists = 16;
constexpr uint64_t kUneven = 1'500;
constexpr uint32_t kUnevenLists = 64;  // the most of all collections
constexpr int kSplitPolls = 3'000;
constexpr size_t kDeletionStep = 4;

// Rows around a few centres.
std::vector<uint8_t> ByteRows(size_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> values(rows * kByteDimension);
  for (size_t i = 0; i < rows; ++i) {
    const uint32_t centre = random() % 5;
    for (size_t d = 0; d < kByteDimension; ++d) {
      values[i * kByteDimension + d] =
          static_cast<uint8_t>((centre * 41 + d * 13) % 200 + random() % 40);
    }
  }
  return values;
}

VectorsView View(const std::vector<uint8_t>& rows) {
  return {reinterpret_cast<const std::byte*>(rows.data()), ElementType::kUint8,
          rows.size() / kByteDimension, kByteDimension};
}

absl::Status UpsertBytes(Engine& engine, uint64_t begin, uint64_t end, uint32_t seed) {
  const std::vector<uint8_t> rows = ByteRows(end - begin, seed);
  UpsertBatch batch;
  batch.vectors = View(rows);
  for (uint64_t i = begin; i < end; ++i) {
    batch.ids.push_back(i % 3 == 0 ? PointId(absl::StrCat("point/", i)) : PointId(i));
    batch.payloads.push_back(
        i % 4 == 0 ? "" : absl::StrCat(R"({"n": )", i, R"(, "even": )", i % 2 == 0, "}"));
  }
  return engine.Upsert("bytes", batch).status();
}

absl::Status AwaitEnd(Engine& engine, absl::StatusOr<OperationInfo> operation) {
  while (operation.ok() && operation->state == OperationState::kRunning) {
    operation = engine.AwaitOperation(operation->id, operation->revision, absl::Seconds(1));
  }
  RETURN_IF_ERROR(operation.status());
  return operation->state == OperationState::kSucceeded ? absl::OkStatus() : operation->error;
}

absl::Status CreateBytes(Engine& engine, const std::string& name,
                         VectorPlacement vectors = VectorPlacement::kMemory) {
  CollectionSpec spec;
  spec.name = name;
  spec.dimension = kByteDimension;
  spec.metric = Metric::kL2;
  spec.element_type = ElementType::kUint8;
  spec.index.vectors = vectors;
  return engine.CreateCollection(spec).status();
}

// Points of consecutive ids, without payloads.
absl::Status UpsertNumbered(Engine& engine, const std::string& name, uint64_t first,
                            const std::vector<uint8_t>& rows) {
  UpsertBatch batch;
  batch.vectors = View(rows);
  for (uint64_t i = 0; i < batch.vectors.rows; ++i) batch.ids.push_back(PointId(first + i));
  return engine.Upsert(name, batch).status();
}

// Unlike the rows that the collection was trained on.
std::vector<uint8_t> DriftedRows() {
  std::mt19937 random(3);
  std::vector<uint8_t> rows(kDrifted * kByteDimension);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<uint8_t>((i % 2 == 0 ? 5 : 240) + random() % 12);
  }
  return rows;
}

// Trains on a few points, and waits until lists have been split for the many that come then.
absl::Status WriteDrifted(Engine& engine) {
  RETURN_IF_ERROR(CreateBytes(engine, "drifted"));
  RETURN_IF_ERROR(UpsertNumbered(engine, "drifted", 0, ByteRows(kTrained, 4)));
  RETURN_IF_ERROR(
      AwaitEnd(engine, engine.Train({.collection = "drifted", .nlist = kDriftedLists})));
  ASSIGN_OR_RETURN(const CodebookInfo trained, engine.GetCodebook("drifted", 0));
  RETURN_IF_ERROR(UpsertNumbered(engine, "drifted", kTrained, DriftedRows()));
  for (int i = 0; i < kSplitPolls; ++i) {
    ASSIGN_OR_RETURN(const CodebookInfo now, engine.GetCodebook("drifted", 0));
    if (now.content_hash != trained.content_hash) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::DeadlineExceededError("no list was split");
}

// Of which every other one lies near a plane.
std::vector<uint8_t> UnevenRows() {
  std::mt19937 random(6);
  std::vector<uint8_t> rows(kUneven * kByteDimension);
  for (size_t i = 0; i < kUneven; ++i) {
    const bool in_plane = i % 2 == 0;
    for (size_t d = 0; d < kByteDimension; ++d) {
      const uint32_t width = !in_plane ? 60 : d < 2 ? 100 : 2;
      rows[i * kByteDimension + d] = static_cast<uint8_t>((in_plane ? 150 : 0) + random() % width);
    }
  }
  return rows;
}

// Training finds how many lists each query is to probe: the codebook's format has another version.
absl::Status WriteUneven(Engine& engine) {
  RETURN_IF_ERROR(CreateBytes(engine, "uneven"));
  RETURN_IF_ERROR(UpsertNumbered(engine, "uneven", 0, UnevenRows()));
  return AwaitEnd(engine, engine.Train({.collection = "uneven", .nlist = kUnevenLists}));
}

absl::Status UpsertFloats(Engine& engine, const std::string& collection) {
  std::vector<float> values;
  UpsertBatch batch;
  for (uint64_t i = 0; i < 30; ++i) {
    batch.ids.push_back(PointId(i));
    for (size_t d = 0; d < kFloatDimension; ++d) {
      values.push_back(static_cast<float>((i * 7 + d * 11) % 23) - 9.5f);
    }
  }
  batch.vectors = {reinterpret_cast<const std::byte*>(values.data()), ElementType::kFloat32, 30,
                   kFloatDimension};
  return engine.Upsert(collection, batch).status();
}

// Scalar codes in memory: the catalog's record has another version.
absl::Status WriteScalarCoded(Engine& engine) {
  CollectionSpec spec;
  spec.name = "scalar_coded";
  spec.dimension = kFloatDimension;
  spec.index.vectors = VectorPlacement::kDiskSq8;
  RETURN_IF_ERROR(engine.CreateCollection(spec).status());
  RETURN_IF_ERROR(UpsertFloats(engine, spec.name));
  return AwaitEnd(engine, engine.Train({.collection = spec.name, .nlist = 4}));
}

absl::Status WriteCollections(Engine& engine) {
  RETURN_IF_ERROR(CreateBytes(engine, "bytes", VectorPlacement::kDisk));
  CollectionSpec floats;
  floats.name = "floats";
  floats.dimension = kFloatDimension;
  RETURN_IF_ERROR(engine.CreateCollection(floats).status());
  RETURN_IF_ERROR(UpsertBytes(engine, 0, 150, 1));
  RETURN_IF_ERROR(UpsertFloats(engine, "floats"));
  RETURN_IF_ERROR(WriteScalarCoded(engine));
  RETURN_IF_ERROR(WriteDrifted(engine));
  RETURN_IF_ERROR(WriteUneven(engine));
  RETURN_IF_ERROR(AwaitEnd(engine, engine.Train({.collection = "bytes", .nlist = 4})));
  return AwaitEnd(engine, engine.CreatePayloadIndex("bytes", {.key = FieldPath("n"),
                                                              .type = PayloadIndexType::kInteger}));
}

EngineOptions OptionsOf(const std::string& data_dir) {
  EngineOptions options;
  options.snapshot_path = data_dir + "/snapshots";
  options.version = "golden";
  options.deletion_step_points = kDeletionStep;
  return options;
}

// The last writes, among them a large deletion by filter of which one step is done.
absl::Status WriteAfterwards(Engine& engine, const std::atomic<int>& steps_allowed) {
  RETURN_IF_ERROR(UpsertBytes(engine, 100, 180, 2));
  RETURN_IF_ERROR(
      engine.DeletePoints("bytes", {PointId(uint64_t{1}), PointId("point/3")}, {}).status());
  NumberRange range;
  range.bounds = {.lt = 60, .gte = 20};
  Filter filter;
  filter.must.push_back({FieldCondition{FieldPath("n"), range}});
  RETURN_IF_ERROR(engine.DeleteByFilter("bytes", filter, {.request_id = "golden"}).status());
  for (int i = 0; i < kSplitPolls && steps_allowed.load() > 0; ++i) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  // Some of them come again.
  return UpsertBytes(engine, 50, 55, 5);
}

std::string Bits(float score) {
  uint32_t bits;
  static_assert(sizeof(bits) == sizeof(score));
  std::copy_n(reinterpret_cast<const char*>(&score), sizeof(bits), reinterpret_cast<char*>(&bits));
  return absl::StrCat(absl::Hex(bits, absl::kZeroPad8));
}

absl::Status DescribePoints(Engine& engine, const std::string& name, std::string* out) {
  std::string token;
  ElementType type;
  do {
    ASSIGN_OR_RETURN(const ScrollPage page,
                     engine.ScrollPoints(name, 40, token, {},
                                         {.payload = {.enabled = true}, .vector = true}, &type));
    for (const PointData& point : page.points) {
      absl::StrAppend(out, "  ", DescribePointId(ViewOf(point.id)), " ",
                      absl::BytesToHexString(point.vector), " ", point.payload, "\n");
    }
    token = page.next_page_token;
  } while (!token.empty());
  return absl::OkStatus();
}

absl::Status DescribeSearch(Engine& engine, SearchRequest request, std::string_view what,
                            bool with_scores, std::string* out) {
  ASSIGN_OR_RETURN(const SearchResult result, engine.Search(request));
  for (const auto& hits : result.hits) {
    absl::StrAppend(out, "  ", std::string(what), ":");
    for (const Hit& hit : hits) {
      absl::StrAppend(out, " ", DescribePointId(ViewOf(hit.id)));
      if (with_scores) absl::StrAppend(out, "=", Bits(hit.score));
    }
    absl::StrAppend(out, "\n");
  }
  return absl::OkStatus();
}

absl::Status DescribeCollection(Engine& engine, const CollectionInfo& info, std::string* out) {
  absl::StrAppend(out, info.spec.name, ": ", info.points, " points, sequence ", info.sequence,
                  ", codebook ", info.codebook_version, "\n");
  RETURN_IF_ERROR(DescribePoints(engine, info.spec.name, out));
  SearchRequest request;
  request.collection = info.spec.name;
  request.limit = 5;
  const bool bytes = info.spec.element_type == ElementType::kUint8;
  const std::vector<uint8_t> queries = ByteRows(kQueries, 9);
  const float query[kFloatDimension] = {1, -2, 3, 4};
  if (bytes) {
    request.vectors = View(queries);
  } else {
    request.vectors = {reinterpret_cast<const std::byte*>(query), ElementType::kFloat32, 1,
                       kFloatDimension};
  }
  request.exact = true;
  RETURN_IF_ERROR(DescribeSearch(engine, request, "exactly", bytes, out));
  request.exact = false;
  // All lists and all points: what is found does not depend on codes.
  request.nprobe = kUnevenLists;
  request.rerank = 2'000;
  return DescribeSearch(engine, request, "through the lists", bytes, out);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> OpenGoldenStore(const std::string& data_dir,
                                                        Executor& executor) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenRocksDbStore({.path = data_dir + "/store"}));
  return Engine::Open(std::move(store), executor, OptionsOf(data_dir));
}

absl::Status WriteGoldenStore(const std::string& data_dir) {
  const std::string live = data_dir + ".live";
  fs::remove_all(live);
  fs::create_directories(live);
  InlineExecutor executor;
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, OpenGoldenStore(live, executor));
    RETURN_IF_ERROR(WriteCollections(*engine));
    RETURN_IF_ERROR(AwaitEnd(*engine, engine->snapshots().Create("drifted")));
    RETURN_IF_ERROR(engine->Close());
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenRocksDbStore({.path = live + "/store"}));
  std::atomic<int> steps_allowed = 1;
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   Engine::Open(std::make_unique<SweepHolder>(std::move(store), steps_allowed),
                                executor, OptionsOf(live)));
  RETURN_IF_ERROR(WriteAfterwards(*engine, steps_allowed));
  // As a kill leaves it: the last writes are in the log alone.
  fs::copy(live, data_dir, fs::copy_options::recursive);
  RETURN_IF_ERROR(engine->Close());
  fs::remove_all(live);
  for (const auto& entry : fs::recursive_directory_iterator(data_dir)) {
    const std::string name = entry.path().filename();
    const bool listed = entry.path().string().find("/snapshots/") != std::string::npos;
    if (!listed && (name.starts_with("OPTIONS") || name == "LOCK")) fs::remove(entry.path());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> DescribeStore(Engine& engine) {
  std::string text;
  for (const CollectionInfo& info : engine.ListCollections("", 100)) {
    RETURN_IF_ERROR(DescribeCollection(engine, info, &text));
  }
  return text;
}

absl::StatusOr<std::string> DescribeSnapshots(Engine& engine) {
  std::string text;
  ASSIGN_OR_RETURN(const auto snapshots, engine.snapshots().List("", 100));
  for (const SnapshotInfo& snapshot : snapshots) {
    RETURN_IF_ERROR(snapshot.damage);
    RETURN_IF_ERROR(AwaitEnd(engine, engine.snapshots().Restore(
                                         {.snapshot_id = snapshot.id, .collection = "restored"})));
    ASSIGN_OR_RETURN(const CollectionInfo info, engine.GetCollection("restored"));
    RETURN_IF_ERROR(DescribeCollection(engine, info, &text));
    RETURN_IF_ERROR(engine.DeleteCollection("restored"));
  }
  return text;
}

}  // namespace tessera
