// Filtered search of an engine in this process: recall against the exact answers among the points
// that match, and queries per second of one thread, for filters of many selectivities and for
// filters that go with the query or against it.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "index/base/status_macros.h"
#include "index/simd/exact.h"
#include "server/engine/engine.h"
#include "server/engine/thread_pool_executor.h"
#include "server/storage/rocksdb_store.h"
#include "tests/bench/dataset.h"
#include "tests/bench/measure.h"

namespace tessera::bench {
namespace {

constexpr size_t kLimit = 10;
constexpr size_t kZones = 100;
constexpr size_t kChunk = 10'000;
// A prime: times are all different, and neighbours in time lie far apart.
constexpr size_t kTimeStep = 433'494'437;
constexpr char kName[] = "sift";

struct Case {
  std::string name;
  std::vector<Filter> filters;  // one for all queries, or one each

  const Filter& of(size_t query) const { return filters[query % filters.size()]; }
};

Filter MustMatch(const std::string& key, std::vector<int64_t> values) {
  Filter filter;
  filter.must.push_back({FieldCondition{FieldPath(key), Match{.integers = std::move(values)}}});
  return filter;
}

// The photo of each vector: a .npy of uint16.
std::vector<uint16_t> ReadPhotos(const std::string& path, size_t rows) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<uint16_t> photos(rows);
  if (bytes.size() < 2 * rows) return {};
  std::memcpy(photos.data(), bytes.data() + bytes.size() - 2 * rows, 2 * rows);
  return photos;
}

// Zones: a hundred vectors of the base, and which of them each vector is nearest to.
class Zones {
 public:
  explicit Zones(const Dataset& data) : data_(data), of_(data.base.rows) {
    std::vector<float> best(data.base.rows, std::numeric_limits<float>::infinity());
    std::vector<float> distances(data.base.rows);
    const Matrix centres = data.Floats(0, kZones);
    for (size_t z = 0; z < kZones; ++z) {
      scorers_.emplace_back(data.metric, data.type, centres.row(z));
      scorers_[z].ScoreContiguous(data.base.data, data.base.rows, distances.data());
      for (size_t i = 0; i < best.size(); ++i) {
        if (distances[i] < best[i]) {
          best[i] = distances[i];
          of_[i] = static_cast<int64_t>(z);
        }
      }
    }
    for (int64_t zone : of_) ++sizes_[zone];
  }
  int64_t of(size_t row) const { return of_[row]; }
  // Zones by their distance from the query that hold at least one vector in a thousand.
  std::vector<int64_t> ByDistance(std::span<const float> query) const {
    std::vector<std::pair<float, int64_t>> order;
    const ExactScorer scorer(data_.metric, data_.type, query);
    std::vector<float> distances(kZones);
    scorer.ScoreContiguous(data_.base.data, kZones, distances.data());
    for (size_t z = 0; z < kZones; ++z) {
      const auto zone = static_cast<int64_t>(z);
      if (sizes_.at(zone) >= data_.base.rows / 1000) order.emplace_back(distances[z], zone);
    }
    std::sort(order.begin(), order.end());
    std::vector<int64_t> zones;
    for (const auto& [distance, zone] : order) zones.push_back(zone);
    return zones;
  }

 private:
  const Dataset& data_;
  std::vector<ExactScorer> scorers_;
  std::vector<int64_t> of_;
  std::map<int64_t, size_t> sizes_;
};

// Photos that together hold about `share` of the vectors: in an order of their own, those that
// still fit. Order 0 is the largest first; others are random.
Filter PhotosOf(const std::vector<size_t>& sizes, double share, uint32_t order) {
  std::vector<std::pair<size_t, int64_t>> by_size;
  size_t all = 0;
  for (size_t photo = 0; photo < sizes.size(); ++photo) {
    if (sizes[photo] > 0) by_size.emplace_back(sizes[photo], static_cast<int64_t>(photo));
    all += sizes[photo];
  }
  std::sort(by_size.rbegin(), by_size.rend());
  if (order > 0) std::shuffle(by_size.begin(), by_size.end(), std::mt19937(order));
  auto room = static_cast<size_t>(share * static_cast<double>(all) * 1.05);
  std::vector<int64_t> chosen;
  for (const auto& [size, photo] : by_size) {
    if (size > room) continue;
    room -= size;
    chosen.push_back(photo);
  }
  return MustMatch("photo", std::move(chosen));
}

absl::Status AwaitOperation(Engine& engine, absl::StatusOr<OperationInfo> operation) {
  while (operation.ok() && operation->state == OperationState::kRunning) {
    operation = engine.AwaitOperation(operation->id, operation->revision, absl::Seconds(5));
  }
  RETURN_IF_ERROR(operation.status());
  return operation->error;
}

absl::Status Fill(Engine& engine, const Dataset& data, const std::vector<uint16_t>& photos,
                  const Zones& zones) {
  CollectionSpec spec;
  spec.name = kName;
  spec.dimension = static_cast<uint32_t>(data.base.dim);
  spec.metric = data.metric;
  spec.element_type = data.type;
  RETURN_IF_ERROR(engine.CreateCollection(spec).status());
  for (size_t begin = 0; begin < data.base.rows; begin += kChunk) {
    UpsertBatch batch;
    const size_t rows = std::min(kChunk, data.base.rows - begin);
    for (size_t i = begin; i < begin + rows; ++i) {
      batch.ids.emplace_back(uint64_t{i});
      batch.payloads.push_back(absl::StrCat("{\"photo\":", photos[i], ",\"zone\":", zones.of(i),
                                            ",\"time\":", i * kTimeStep % data.base.rows, "}"));
    }
    batch.vectors = data.base;
    batch.vectors.rows = rows;
    batch.vectors.data += begin * data.base.row_bytes();
    RETURN_IF_ERROR(engine.Upsert(kName, batch).status());
  }
  TrainRequest train;
  train.collection = kName;
  RETURN_IF_ERROR(AwaitOperation(engine, engine.Train(train)));
  for (const char* key : {"photo", "zone", "time"}) {
    RETURN_IF_ERROR(AwaitOperation(
        engine, engine.CreatePayloadIndex(kName, {FieldPath(key), PayloadIndexType::kInteger})));
  }
  return absl::OkStatus();
}

absl::StatusOr<SearchResult> SearchOne(Engine& engine, const Dataset& data, size_t query,
                                       const Filter& filter, bool exact) {
  SearchRequest request;
  request.collection = kName;
  request.vectors = {reinterpret_cast<const std::byte*>(data.queries.row(query).data()),
                     ElementType::kFloat32, 1, data.queries.cols()};
  request.limit = kLimit;
  request.exact = exact;
  request.filter = filter;
  return engine.Search(request);
}

absl::Status MeasureCase(Engine& engine, const Dataset& data, const Case& c, size_t rounds) {
  const size_t queries = data.queries.rows();
  std::vector<std::set<PointId>> truth(queries);
  for (size_t q = 0; q < queries; ++q) {
    ASSIGN_OR_RETURN(const SearchResult exact, SearchOne(engine, data, q, c.of(q), true));
    for (const Hit& hit : exact.hits[0]) truth[q].insert(hit.id);
  }
  double best_s = std::numeric_limits<double>::infinity();
  size_t common = 0, total = 0, lists = 0, short_of = 0;
  double selectivity = 0;
  std::set<SearchPlan> plans;
  for (size_t round = 0; round < rounds; ++round) {
    common = total = lists = short_of = 0;
    selectivity = 0;
    const double begin_s = ThreadSeconds();
    double spent_s = 0;
    for (size_t q = 0; q < queries; ++q) {
      ASSIGN_OR_RETURN(const SearchResult found, SearchOne(engine, data, q, c.of(q), false));
      for (const Hit& hit : found.hits[0]) common += truth[q].contains(hit.id);
      total += truth[q].size();
      short_of += found.hits[0].size() < truth[q].size();
      lists += found.report.lists_scanned;
      selectivity += found.report.selectivity;
      plans.insert(found.report.plan);
    }
    spent_s = ThreadSeconds() - begin_s;
    best_s = std::min(best_s, spent_s);
  }
  std::string plan;
  for (SearchPlan p : plans) {
    absl::StrAppend(&plan, plan.empty() ? "" : ", ",
                    p == SearchPlan::kMaskedLists     ? "masked lists"
                    : p == SearchPlan::kExactMatching ? "exact"
                                                      : "lists");
  }
  const auto n = static_cast<double>(queries);
  std::cout << absl::StrFormat("| %-34s | %8.3f %% | %6.4f | %7.0f | %6.0f | %5d | %s |\n", c.name,
                               100 * selectivity / n,
                               static_cast<double>(common) / static_cast<double>(total), n / best_s,
                               static_cast<double>(lists) / n, short_of, plan)
            << std::flush;
  return absl::OkStatus();
}

std::vector<Case> MakeCases(const Dataset& data, const std::vector<uint16_t>& photos,
                            const Zones& zones) {
  std::vector<Case> cases = {{"no filter", {Filter()}}};
  std::vector<size_t> sizes(std::numeric_limits<uint16_t>::max() + size_t{1}, 0);
  for (uint16_t photo : photos) ++sizes[photo];
  for (const double percent : {50.0, 10.0, 1.0, 0.1, 0.01}) {
    cases.push_back(
        {absl::StrFormat("photos, %g %%", percent), {PhotosOf(sizes, percent / 100, 0)}});
  }
  // More than the cache of filters holds, each used once.
  for (const double percent : {50.0, 10.0, 1.0}) {
    Case unlike{absl::StrFormat("other photos each time, %g %%", percent), {}};
    for (uint32_t order = 1; order <= 100; ++order) {
      unlike.filters.push_back(PhotosOf(sizes, percent / 100, order));
    }
    cases.push_back(std::move(unlike));
  }
  // The i-th of a hundred ranges of times that hold `percent` of all.
  const auto range_of_times = [&](double percent, int i) -> Condition {
    const double width = percent / 100 * static_cast<double>(data.base.rows);
    const double begin = (static_cast<double>(data.base.rows) - width) * i / 100;
    return {FieldCondition{FieldPath("time"), NumberRange{{.lt = begin + width, .gte = begin}}}};
  };
  for (const double percent : {50.0, 10.0, 1.0}) {
    Case ranges{absl::StrFormat("another range each time, %g %%", percent), {}};
    for (int i = 0; i < 100; ++i) {
      ranges.filters.emplace_back().must.push_back(range_of_times(percent, i));
    }
    cases.push_back(std::move(ranges));
  }
  for (const auto& [photo_percent, range_percent] :
       {std::pair{50.0, 50.0}, {50.0, 10.0}, {10.0, 50.0}, {10.0, 10.0}, {1.0, 50.0}}) {
    Case both{absl::StrFormat("photos, %g %%, and range, %g %%", photo_percent, range_percent), {}};
    for (int i = 0; i < 100; ++i) {
      Filter filter = PhotosOf(sizes, photo_percent / 100, static_cast<uint32_t>(i) + 1);
      filter.must.push_back(range_of_times(range_percent, i));
      both.filters.push_back(std::move(filter));
    }
    cases.push_back(std::move(both));
  }
  Case photo{"another photo each time", {}};
  for (size_t p = 0; p < sizes.size(); ++p) {
    if (sizes[p] > 0) photo.filters.push_back(MustMatch("photo", {static_cast<int64_t>(p)}));
  }
  cases.push_back(std::move(photo));
  Case near{"the query's zones (correlated)", {}};
  Case far{"the farthest zones (anti-correlated)", {}};
  Case most{"not the query's nearest zones", {}};
  for (size_t q = 0; q < data.queries.rows(); ++q) {
    const std::vector<int64_t> order = zones.ByDistance(data.queries.row(q));
    near.filters.push_back(MustMatch("zone", {order.begin(), order.begin() + 2}));
    far.filters.push_back(MustMatch("zone", {order.end() - 5, order.end()}));
    Filter without;
    without.must_not = MustMatch("zone", {order.begin(), order.begin() + 20}).must;
    most.filters.push_back(std::move(without));
  }
  for (Case* c : {&near, &far, &most}) cases.push_back(std::move(*c));
  return cases;
}

absl::Status Run(const std::string& folder, const std::string& directory, const std::string& only,
                 size_t queries, size_t rounds) {
  ASSIGN_OR_RETURN(const Dataset data, LoadDataset(folder, queries));
  const std::vector<uint16_t> photos = ReadPhotos(folder + "/base_photo.npy", data.base.rows);
  if (photos.empty()) return absl::NotFoundError("base_photo.npy has too few rows");
  const Zones zones(data);
  RocksDbOptions options;
  options.path = directory;
  const bool fresh = !std::filesystem::exists(directory + "/CURRENT");
  ASSIGN_OR_RETURN(auto store, OpenRocksDbStore(options));
  ThreadPoolExecutor executor(std::thread::hardware_concurrency());
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(auto engine, Engine::Open(std::move(store), executor, {}));
  if (fresh) {
    RETURN_IF_ERROR(Fill(*engine, data, photos, zones));
  } else {
    std::cout << "recovered in " << absl::Now() - start << "\n";
  }
  std::cout << "| filter | matching | recall@10 | QPS | lists a query | short | plan |\n"
               "|---|---|---|---|---|---|---|\n";
  for (const Case& c : MakeCases(data, photos, zones)) {
    if (!absl::StrContains(c.name, only)) continue;
    RETURN_IF_ERROR(MeasureCase(*engine, data, c, rounds));
  }
  return engine->Close();
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  CLI::App app("Recall and speed of filtered searches.");
  std::string folder;
  std::string directory = std::filesystem::temp_directory_path() / "tessera-filtered-bench";
  std::string only;
  size_t queries = 500;
  size_t rounds = 3;
  app.add_option("folder", folder, "base.bvecs, query.bvecs, groundtruth.ivecs, base_photo.npy")
      ->required();
  app.add_option("--store", directory, "Directory of the store, which is kept for the next run")
      ->capture_default_str();
  app.add_option("--only", only, "Only the filters whose names hold this text");
  app.add_option("--queries", queries)->capture_default_str();
  app.add_option("--rounds", rounds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = tessera::bench::Run(folder, directory, only, queries, rounds);
  if (status.ok()) return 0;
  std::cerr << status << "\n";
  return 1;
}
