// Measures a running server against the engine inside it: the same index, made from the codebook
// that the server exports, searched in this process. Both by CPU time, the server's from /proc, so
// that the clients on the same cores do not count. README.md has the commands.

#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/client.h"
#include "index/base/executor.h"
#include "index/codebook/codebook.h"
#include "index/ivf/inverted_lists.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/searcher.h"
#include "tests/bench/dataset.h"
#include "tests/bench/measure.h"
#include "tests/bench/memory_source.h"

namespace tessera::bench {
namespace {

constexpr size_t kK = 10;

struct Flags {
  std::string data;
  std::string address = "127.0.0.1:6433";
  std::string collection;
  int pid = 0;
  uint32_t nprobe = 64;
  uint32_t rerank = 250;
  size_t queries = 2000;
  size_t in_flight = 16;
  size_t batch = 100;
  double seconds = 4;
  size_t rounds = 3;
  bool payloads = false;
  std::vector<std::string> only;
};

template <class T>
T Check(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "server_bench: %s\n", value.status().ToString().c_str());
  std::exit(1);
}

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// CPU time of a process, all threads, from fields 14 and 15 of its stat.
double ProcessSeconds(int pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  double ticks = 0;
  for (int i = 3; i <= 15 && fields >> field; ++i) {
    if (i >= 14) ticks += std::atof(field.c_str());
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// The server's index, in this process.
class Local {
 public:
  Local(const Dataset& data, Client& client, const Flags& flags)
      : data_(data), source_(data.base), params_{kK, flags.nprobe, flags.rerank} {
    std::string bytes;
    const absl::Status status =
        client.ExportCodebook(flags.collection, 0, [&](std::string_view chunk) {
          bytes.append(chunk);
          return absl::OkStatus();
        });
    if (!status.ok()) Check<int>(status);
    const auto codebook = Check(Codebook::Parse(bytes));
    lists_ = std::make_unique<InvertedLists>(codebook);
    constexpr size_t kRowsAtOnce = 65'536;
    EncodedVectors encoded;
    InlineExecutor executor;
    for (size_t begin = 0; begin < data.base.rows; begin += kRowsAtOnce) {
      const size_t n = std::min(kRowsAtOnce, data.base.rows - begin);
      codebook->Encode(data.Floats(begin, n), executor, &encoded);
    }
    std::vector<Slot> slots(encoded.size());
    for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<Slot>(i);
    lists_->Append(encoded, slots.data());
  }

  // Microseconds of CPU time a query, over as long as the server is measured: the best of short
  // measurements would be better than the best of long ones.
  double Measure(size_t batch, double seconds) {
    const MatrixView queries = data_.queries;
    const auto snapshot = lists_->Snapshot();
    std::vector<std::vector<Neighbor>> results(batch);
    const double start = WallSeconds(), cpu = ThreadSeconds();
    size_t answered = 0;
    while (WallSeconds() - start < seconds) {
      const size_t first = answered % (queries.rows / batch * batch);
      const absl::Status status = SearchIvf(*snapshot, queries.Rows(first, batch), params_,
                                            deleted_, &source_, results, nullptr);
      if (!status.ok()) Check<int>(status);
      answered += batch;
    }
    return 1e6 * (ThreadSeconds() - cpu) / static_cast<double>(answered);
  }

 private:
  const Dataset& data_;
  const MemorySource source_;
  const IvfSearchParams params_;
  std::unique_ptr<InvertedLists> lists_;
  SlotSet deleted_;
};

struct Figure {
  double qps = 0;       // by the clock
  double cpu_us = 1e9;  // of the server, a query
  double recall = 0;    // of searches
};

// `threads` clients, each with one request of `batch` queries in flight. With `apart` no two
// requests that are in flight agree in their parameters, so that the server cannot gather them.
class Remote {
 public:
  Remote(const Dataset& data, Client& client, const Flags& flags)
      : data_(data), client_(client), flags_(flags) {}

  void Measure(size_t threads, size_t batch, bool apart, Figure* best) {
    std::atomic<size_t> next{0}, hits{0};
    MeasureCalls(threads, batch, best, [&](size_t thread) {
      const auto limit = static_cast<uint32_t>(kK + (apart ? thread : 0));
      const size_t first = next.fetch_add(batch) % (data_.queries.rows() / batch * batch);
      hits += Hits(Check(client_.Search(Request(first, batch, limit))), first);
    });
    best->recall = static_cast<double>(hits) / static_cast<double>(next * kK);
  }

  // Calls that ask for nothing: what a call costs gRPC and the system.
  void MeasureEmpty(size_t threads, Figure* best) {
    MeasureCalls(threads, 1, best, [&](size_t) {
      const absl::Status status = client_.CheckHealth();
      if (!status.ok()) Check<int>(status);
    });
  }

  // The same over one stream, with `in_flight` searches on it.
  void MeasureStream(size_t in_flight, Figure* best) {
    const auto stream = client_.StartSearchStream();
    size_t next = 0, hits = 0, answered = 0;
    const double cpu = ProcessSeconds(flags_.pid), start = WallSeconds();
    const auto send = [&] {
      stream->Send(next, Request(next % data_.queries.rows(), 1, kK));
      ++next;
    };
    for (size_t i = 0; i < in_flight; ++i) send();
    while (answered < next) {
      const SearchStream::Answer answer = Check(stream->Receive());
      hits += Hits(Check(answer.response), answer.tag % data_.queries.rows());
      ++answered;
      if (WallSeconds() - start < flags_.seconds) send();
    }
    Note(answered, start, cpu, best);
    best->recall = static_cast<double>(hits) / static_cast<double>(answered * kK);
  }

 private:
  // `threads` clients that call(thread), each for `batch` answers.
  template <class Call>
  void MeasureCalls(size_t threads, size_t batch, Figure* best, const Call& call) {
    std::atomic<size_t> answered{0};
    const double cpu = ProcessSeconds(flags_.pid), start = WallSeconds();
    const auto work = [&](size_t thread) {
      while (WallSeconds() - start < flags_.seconds) {
        call(thread);
        answered += batch;
      }
    };
    std::vector<std::thread> clients;
    for (size_t t = 1; t < threads; ++t) clients.emplace_back(work, t);
    work(0);
    for (std::thread& client : clients) client.join();
    Note(answered, start, cpu, best);
  }

  void Note(size_t answered, double start, double cpu, Figure* best) const {
    const auto n = static_cast<double>(answered);
    best->qps = std::max(best->qps, n / (WallSeconds() - start));
    best->cpu_us = std::min(best->cpu_us, 1e6 * (ProcessSeconds(flags_.pid) - cpu) / n);
  }

  v1::SearchRequest Request(size_t first, size_t batch, uint32_t limit) const {
    v1::SearchRequest request;
    request.set_collection_name(flags_.collection);
    request.set_limit(limit);
    if (flags_.payloads) request.mutable_with_payload()->set_enable(true);
    request.mutable_params()->set_nprobe(flags_.nprobe);
    request.mutable_params()->set_rerank(flags_.rerank);
    const MatrixView rows = data_.queries.view().Rows(first, batch);
    request.mutable_vectors()->mutable_values()->Add(rows.data, rows.data + rows.rows * rows.cols);
    return request;
  }

  size_t Hits(const v1::SearchResponse& response, size_t first) const {
    size_t hits = 0;
    for (int r = 0; r < response.results_size(); ++r) {
      const auto& truth = data_.truth[first + static_cast<size_t>(r)];
      const auto& found = response.results(r).hits();
      for (int i = 0; i < std::min<int>(kK, found.size()); ++i) {
        hits +=
            std::find(truth.begin(), truth.begin() + kK, found[i].id().num()) != truth.begin() + kK
                ? 1
                : 0;
      }
    }
    return hits;
  }

  const Dataset& data_;
  Client& client_;
  const Flags& flags_;
};

// One row of the table.
struct Case {
  std::string name;  // for --only
  std::string what;
  const double* engine;  // null: it has no part in them, and there is no recall
  std::function<void(Figure*)> measure;
  Figure best;
};

int Run(const Flags& flags) {
  const Dataset data = Check(LoadDataset(flags.data, flags.queries));
  ClientOptions options;
  options.address = flags.address;
  Client client(options);
  Local local(data, client, flags);
  Remote remote(data, client, flags);
  double alone = 1e9, together = 1e9;
  const std::string many = absl::StrCat(flags.in_flight);
  std::vector<Case> cases = {
      {"empty",
       "health checks, one at a time",
       nullptr,
       [&](Figure* best) { remote.MeasureEmpty(1, best); },
       {}},
      {"empties",
       absl::StrCat(many, " health checks in flight"),
       nullptr,
       [&](Figure* best) { remote.MeasureEmpty(flags.in_flight, best); },
       {}},
      {"one",
       "one query a request, one request at a time",
       &alone,
       [&](Figure* best) { remote.Measure(1, 1, false, best); },
       {}},
      {"batch",
       absl::StrCat("batches of ", flags.batch),
       &together,
       [&](Figure* best) { remote.Measure(1, flags.batch, false, best); },
       {}},
      {"calls",
       absl::StrCat(many, " single queries in flight"),
       &alone,
       [&](Figure* best) { remote.Measure(flags.in_flight, 1, false, best); },
       {}},
      {"apart",
       absl::StrCat(many, " in flight that cannot be gathered"),
       &alone,
       [&](Figure* best) { remote.Measure(flags.in_flight, 1, true, best); },
       {}},
      {"stream",
       absl::StrCat(many, " in flight on one stream"),
       &alone,
       [&](Figure* best) { remote.MeasureStream(flags.in_flight, best); },
       {}},
  };
  std::erase_if(cases, [&](const Case& one) {
    return !flags.only.empty() &&
           std::find(flags.only.begin(), flags.only.end(), one.name) == flags.only.end();
  });
  for (size_t round = 0; round < flags.rounds; ++round) {
    alone = std::min(alone, local.Measure(1, flags.seconds));
    together = std::min(together, local.Measure(flags.batch, flags.seconds));
    for (Case& one : cases) one.measure(&one.best);
  }
  std::printf("| nprobe %u, rerank %u | recall@10 | QPS | server CPU, us a query | engine |\n",
              flags.nprobe, flags.rerank);
  std::printf("|---|---|---|---|---|\n");
  for (const Case& one : cases) {
    const bool searches = one.engine != nullptr;
    std::printf("| %s | %s | %.0f | %.1f | %s |\n", one.what.c_str(),
                searches ? absl::StrFormat("%.4f", one.best.recall).c_str() : "-", one.best.qps,
                one.best.cpu_us, searches ? absl::StrFormat("%.1f", *one.engine).c_str() : "-");
  }
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  tessera::bench::Flags flags;
  CLI::App app("What searching through the server costs beyond the search itself.");
  app.add_option("data", flags.data, "Folder with base, queries and ground truth")->required();
  app.add_option("collection", flags.collection, "Holds the base, trained; ids are row numbers")
      ->required();
  app.add_option("--pid", flags.pid, "Process of the server")->required();
  app.add_option("--address", flags.address, "Of the server");
  app.add_option("--nprobe", flags.nprobe, "Lists searched");
  app.add_option("--rerank", flags.rerank, "Candidates compared exactly");
  app.add_option("--queries", flags.queries, "Queries used, from the first");
  app.add_option("--in-flight", flags.in_flight, "Clients that search at the same time");
  app.add_option("--batch", flags.batch, "Queries in a request of many");
  app.add_option("--seconds", flags.seconds, "Of each measurement");
  app.add_option("--rounds", flags.rounds, "Rounds; the best of each counts");
  app.add_flag("--payloads", flags.payloads, "Answers hold the points' payloads");
  app.add_option("--only", flags.only, "Rows of the table")
      ->check(CLI::IsMember({"empty", "empties", "one", "batch", "calls", "apart", "stream"}));
  CLI11_PARSE(app, argc, argv);
  return tessera::bench::Run(flags);
}
