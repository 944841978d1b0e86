// Latency of searches while points are replaced at full rate, and without: of one engine in this
// process, at an equal share of the processor. The searches have one core to themselves; what else
// the engine does (writers, flushes, compactions) has another, and where nothing is written, a
// thread that only counts keeps that other core as busy.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "index/base/status_macros.h"
#include "server/engine/engine.h"
#include "server/engine/thread_pool_executor.h"
#include "server/storage/rocksdb_store.h"
#include "tests/bench/dataset.h"
#include "tests/bench/measure.h"

namespace tessera::bench {
namespace {

constexpr char kName[] = "c";
constexpr size_t kLimit = 10;
constexpr size_t kLoadChunk = 10'000;
constexpr absl::Duration kSettle = absl::Milliseconds(200);

struct Options {
  std::string folder;
  size_t points = 200'000;
  size_t rounds = 10;
  double seconds = 2;
  size_t writers = 4;
  size_t batch = 100;
  bool async = false;
  bool on_disk = false;
  // Payload indexes, in turn. Where there are some numbers, even if 0, points have payloads.
  std::vector<size_t> indexes;
};

// What payloads hold, and in this order is indexed.
const PayloadIndexSpec kFields[] = {{FieldPath("word"), PayloadIndexType::kKeyword},
                                    {FieldPath("number"), PayloadIndexType::kInteger},
                                    {FieldPath("real"), PayloadIndexType::kFloat},
                                    {FieldPath("time"), PayloadIndexType::kDatetime},
                                    {FieldPath("flag"), PayloadIndexType::kBool}};
// Made before they are needed: as many as hardly come twice in what one writer has in hand.
constexpr size_t kPayloads = 100'000;
constexpr size_t kWords = 2'000;

std::vector<std::string> MakePayloads() {
  std::mt19937_64 random(1);
  std::vector<std::string> payloads;
  for (size_t i = 0; i < kPayloads; ++i) {
    payloads.push_back(absl::StrFormat(
        R"({"word":"w%d","number":%d,"real":%.6f,"time":"2024-%02d-%02dT%02d:%02d:%02dZ","flag":%s})",
        random() % kWords, random() % 1'000'000, static_cast<double>(random() % 1'000'000) / 997,
        1 + random() % 12, 1 + random() % 28, random() % 24, random() % 60, random() % 60,
        random() % 2 == 0 ? "true" : "false"));
  }
  return payloads;
}

// The calling thread, and those that it starts from here on, run on this core only.
bool StayOn(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

// What searches took, in microseconds: by the clock, and of the thread's own CPU time.
struct Latencies {
  std::vector<double> wall_us, cpu_us;

  static double Percentile(std::vector<double>& values, double part) {
    const auto at = static_cast<size_t>(part * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at),
                     values.end());
    return values[at];
  }
};

class WritingBench {
 public:
  WritingBench(const Options& options, const Dataset& data, Engine& engine)
      : options_(options),
        data_(data),
        engine_(engine),
        payloads_(options.indexes.empty() ? std::vector<std::string>() : MakePayloads()) {}

  absl::Status Fill() {
    CollectionSpec spec;
    spec.name = kName;
    spec.dimension = static_cast<uint32_t>(data_.base.dim);
    spec.metric = data_.metric;
    spec.element_type = data_.type;
    if (options_.on_disk) spec.index.vectors = VectorPlacement::kDisk;
    RETURN_IF_ERROR(engine_.CreateCollection(spec).status());
    for (size_t begin = 0; begin < points(); begin += kLoadChunk) {
      std::vector<PointId> ids;
      for (size_t i = begin; i < std::min(points(), begin + kLoadChunk); ++i) {
        ids.emplace_back(uint64_t{i});
      }
      RETURN_IF_ERROR(Put(std::move(ids), begin));
    }
    TrainRequest train;
    train.collection = kName;
    return Await(engine_.Train(train));
  }

  // Makes and drops payload indexes until there are so many.
  absl::Status SetIndexes(size_t count) {
    for (; indexes_ < count; ++indexes_) {
      RETURN_IF_ERROR(Await(engine_.CreatePayloadIndex(kName, kFields[indexes_])));
    }
    for (; indexes_ > count; --indexes_) {
      RETURN_IF_ERROR(engine_.DropPayloadIndex(kName, kFields[indexes_ - 1].key.text()));
    }
    return absl::OkStatus();
  }

  // Searches for a while; `writing`, beside writers, else beside a thread that counts.
  absl::Status Phase(bool writing, Latencies* latencies) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> others;
    for (size_t w = 0; w < (writing ? options_.writers : 1); ++w) {
      others.emplace_back([&, w] { writing ? Write(w, stop) : Count(stop); });
    }
    absl::SleepFor(kSettle);
    absl::Status status;
    std::thread searcher([&] { status = SearchFor(absl::Seconds(options_.seconds), latencies); });
    searcher.join();
    stop = true;
    for (std::thread& other : others) other.join();
    RETURN_IF_ERROR(status);
    return write_failed_ ? absl::InternalError("a write failed") : absl::OkStatus();
  }

  uint64_t written() const { return written_; }

 private:
  size_t points() const { return std::min(options_.points, data_.base.rows); }

  absl::Status Await(absl::StatusOr<OperationInfo> operation) {
    while (operation.ok() && operation->state == OperationState::kRunning) {
      operation = engine_.AwaitOperation(operation->id, operation->revision, absl::Seconds(5));
    }
    RETURN_IF_ERROR(operation.status());
    return operation->error;
  }

  absl::Status Put(std::vector<PointId> ids, size_t first_row) {
    UpsertBatch batch;
    batch.vectors = data_.base;
    batch.vectors.rows = ids.size();
    batch.vectors.data += first_row * data_.base.row_bytes();
    batch.ids = std::move(ids);
    for (size_t i = 0; !payloads_.empty() && i < batch.ids.size(); ++i) {
      batch.payloads.push_back(payloads_[(first_row + i) % payloads_.size()]);
    }
    if (options_.async) batch.options.durability = Durability::kAsync;
    return engine_.Upsert(kName, batch).status();
  }

  // Gives points of its own the vectors of others.
  void Write(size_t writer, const std::atomic<bool>& stop) {
    std::mt19937_64 random(writer + written_);
    const size_t own = points() / options_.writers;
    while (!stop && !write_failed_) {
      std::vector<PointId> ids;
      const size_t first = writer * own + random() % (own - options_.batch);
      for (size_t i = 0; i < options_.batch; ++i) ids.emplace_back(uint64_t{first + i});
      const size_t row = random() % (points() - options_.batch);
      if (!Put(std::move(ids), row).ok()) write_failed_ = true;
      written_ += options_.batch;
    }
  }

  static void Count(const std::atomic<bool>& stop) {
    volatile uint64_t count = 0;
    while (!stop) count = count + 1;
  }

  absl::Status SearchFor(absl::Duration duration, Latencies* latencies) {
    if (!StayOn(0)) return absl::UnavailableError("no core 0");
    const absl::Time end = absl::Now() + duration;
    for (absl::Time begin = absl::Now(); begin < end;) {
      SearchRequest request;
      request.collection = kName;
      const size_t row = next_query_++ % data_.queries.rows();
      request.vectors = {reinterpret_cast<const std::byte*>(data_.queries.row(row).data()),
                         ElementType::kFloat32, 1, data_.queries.cols()};
      request.limit = kLimit;
      const double cpu_s = ThreadSeconds();
      RETURN_IF_ERROR(engine_.Search(request).status());
      latencies->cpu_us.push_back((ThreadSeconds() - cpu_s) * 1e6);
      const absl::Time now = absl::Now();
      latencies->wall_us.push_back(absl::ToDoubleMicroseconds(now - begin));
      begin = now;
    }
    return absl::OkStatus();
  }

  const Options& options_;
  const Dataset& data_;
  Engine& engine_;
  const std::vector<std::string> payloads_;
  size_t indexes_ = 0;
  size_t next_query_ = 0;
  std::atomic<uint64_t> written_{0};
  std::atomic<bool> write_failed_{false};
};

void PrintTable(Latencies& idle, Latencies& writing) {
  std::cout << "| us a search | p50 | p99 | p99.9 | searches |\n|---|---|---|---|---|\n";
  const auto row = [](const char* name, std::vector<double>& values) {
    std::cout << absl::StrFormat(
        "| %s | %.0f | %.0f | %.0f | %d |\n", name, Latencies::Percentile(values, 0.5),
        Latencies::Percentile(values, 0.99), Latencies::Percentile(values, 0.999), values.size());
  };
  row("idle, by the clock", idle.wall_us);
  row("writing, by the clock", writing.wall_us);
  row("idle, CPU time", idle.cpu_us);
  row("writing, CPU time", writing.cpu_us);
  const auto ratio = [](std::vector<double>& a, std::vector<double>& b) {
    return Latencies::Percentile(b, 0.99) / Latencies::Percentile(a, 0.99);
  };
  std::cout << absl::StrFormat("p99 while writing / idle: %.2f by the clock, %.2f of CPU time\n",
                               ratio(idle.wall_us, writing.wall_us),
                               ratio(idle.cpu_us, writing.cpu_us));
}

// What was measured with one number of payload indexes.
struct Series {
  Latencies idle, writing;
  uint64_t written = 0;
};

absl::Status Run(const Options& options) {
  if (!StayOn(1)) return absl::UnavailableError("two cores are needed");
  ASSIGN_OR_RETURN(const Dataset data, LoadDataset(options.folder, 1'000));
  const std::string directory = std::filesystem::temp_directory_path() /
                                absl::StrFormat("tessera-writing-bench-%d", getpid());
  ASSIGN_OR_RETURN(auto store, OpenRocksDbStore({.path = directory}));
  ThreadPoolExecutor executor(1);
  ASSIGN_OR_RETURN(auto engine, Engine::Open(std::move(store), executor, {}));
  WritingBench bench(options, data, *engine);
  RETURN_IF_ERROR(bench.Fill());
  const std::vector<size_t> counts =
      options.indexes.empty() ? std::vector<size_t>{0} : options.indexes;
  std::vector<Series> all(counts.size());
  // In turn, so that what else the machine does meets all of them.
  for (size_t round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < counts.size(); ++i) {
      RETURN_IF_ERROR(bench.SetIndexes(counts[i]));
      RETURN_IF_ERROR(bench.Phase(false, &all[i].idle));
      const uint64_t before = bench.written();
      RETURN_IF_ERROR(bench.Phase(true, &all[i].writing));
      all[i].written += bench.written() - before;
    }
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    std::cout << absl::StrFormat(
        "%d payload indexes, %d rounds of %g s; %.0f points a second written\n", counts[i],
        options.rounds, options.seconds,
        static_cast<double>(all[i].written) / (static_cast<double>(options.rounds) *
                                               (options.seconds + absl::ToDoubleSeconds(kSettle))));
    PrintTable(all[i].idle, all[i].writing);
  }
  RETURN_IF_ERROR(engine->Close());
  std::filesystem::remove_all(directory);
  return absl::OkStatus();
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  CLI::App app("Latency of searches beside a full-rate stream of upserts, and without.");
  tessera::bench::Options options;
  app.add_option("folder", options.folder, "As of tessera_bench")->required();
  app.add_option("--points", options.points)->capture_default_str();
  app.add_option("--rounds", options.rounds, "Of searching idle and searching beside writers")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of each half of a round")->capture_default_str();
  app.add_option("--writers", options.writers)->capture_default_str();
  app.add_option("--batch", options.batch, "Points in an upsert")->capture_default_str();
  app.add_flag("--async", options.async, "Do not wait for the disk: the highest rate");
  app.add_flag("--on-disk", options.on_disk, "Keep vectors on disk");
  app.add_option("--indexes", options.indexes,
                 "Numbers of payload indexes, measured in turn: 0,1,5; points have payloads then")
      ->delimiter(',')
      ->check(CLI::Range(size_t{0}, std::size(tessera::bench::kFields)));
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = tessera::bench::Run(options);
  if (status.ok()) return 0;
  std::cerr << status << "\n";
  return 1;
}
