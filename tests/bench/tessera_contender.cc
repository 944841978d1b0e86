#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/codebook/codebook.h"
#include "index/codebook/parameters.h"
#include "index/ivf/inverted_lists.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/searcher.h"
#include "index/simd/convert.h"
#include "tests/bench/contender.h"
#include "tests/bench/memory_source.h"

namespace tessera::bench {
namespace {

constexpr size_t kK = 10;

// Loops on all cores of the machine: building may use them, searching does not.
class ThreadExecutor final : public Executor {
 public:
  size_t Parallelism() const override { return std::max(1u, std::thread::hardware_concurrency()); }
  void ParallelFor(size_t n, size_t grain,
                   const std::function<void(size_t, size_t)>& body) override {
    grain = std::max<size_t>(grain, 1);
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t begin; (begin = next.fetch_add(grain)) < n;) {
        body(begin, std::min(n, begin + grain));
      }
    };
    std::vector<std::thread> threads;
    for (size_t t = 1; t < Parallelism(); ++t) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
  }
};

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class T>
void Check(const T& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "tessera_bench: %s\n", absl::StrCat(status.ToString()).c_str());
  std::exit(1);
}

class TesseraContender final : public Contender {
 public:
  TesseraContender(const Dataset& data, const TesseraOptions& options)
      : data_(data), options_(options), source_(data.base) {
    std::shared_ptr<const Codebook> codebook = TrainOrLoad();
    subquantizers_ = codebook->subquantizers();
    lists_ = std::make_unique<InvertedLists>(codebook);
    const double start = Seconds();
    const EncodedVectors encoded = EncodeAll(*codebook);
    const double encoded_at = Seconds();
    std::vector<Slot> slots(encoded.size());
    for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<Slot>(i);
    lists_->Append(encoded, slots.data());
    const double appended_at = Seconds();
    std::printf("%s: train %.1f s, encode %.1f s, append %.2f s\n", name().c_str(), train_seconds_,
                encoded_at - start, appended_at - encoded_at);
    build_seconds = train_seconds_ + appended_at - start;
    snapshot_ = lists_->Snapshot();
    codebook_bytes_ = codebook->memory_bytes();
    if (options_.scalar) source_.AddScalarCodes(data_.metric);
    MakeSettings();
    AddDefaults(*codebook);
  }

  std::string name() const override {
    return absl::StrCat("tessera IVF", options_.nlist, ",PQ", subquantizers_, "x", options_.nbits,
                        options_.scalar ? ",SQ8" : "");
  }
  std::vector<std::string> settings() const override {
    std::vector<std::string> out;
    for (const IvfSearchParams& p : params_) {
      out.push_back(absl::StrCat("nprobe ", p.nprobe, ", rerank ", p.rerank));
    }
    return out;
  }
  void Search(size_t setting, MatrixView queries, uint32_t* found) override {
    results_.resize(queries.rows);
    Check(SearchIvf(*snapshot_, queries, params_[setting], deleted_, &source_,
                    {results_.data(), queries.rows}, nullptr));
    for (size_t q = 0; q < queries.rows; ++q) {
      for (size_t i = 0; i < kK; ++i) {
        found[q * kK + i] = i < results_[q].size() ? results_[q][i].slot : kInvalidSlot;
      }
    }
  }
  double bytes_per_point() const override {
    const double bytes = static_cast<double>(lists_->memory_bytes() + codebook_bytes_ +
                                             data_.base.rows * source_.bytes_per_vector());
    return bytes / static_cast<double>(data_.base.rows);
  }

 private:
  std::string CachePath(const char* what) const {
    return absl::StrCat(options_.cache_folder, "/", data_.name, "-", options_.nlist, "-",
                        options_.subquantizers, "x", options_.nbits, what);
  }

  EncodedVectors EncodeAll(const Codebook& codebook) const {
    constexpr size_t kRowsAtOnce = 65'536;
    EncodedVectors encoded;
    ThreadExecutor executor;
    const size_t n = data_.base.rows;
    for (size_t begin = 0; begin < n; begin += kRowsAtOnce) {
      codebook.Encode(data_.Floats(begin, std::min(kRowsAtOnce, n - begin)), executor, &encoded);
    }
    return encoded;
  }

  std::shared_ptr<const Codebook> TrainOrLoad() {
    CodebookSpec spec;
    spec.metric = data_.metric;
    spec.dimension = static_cast<uint32_t>(data_.base.dim);
    spec.nlist = options_.nlist;
    spec.subquantizers = options_.subquantizers;
    spec.nbits = options_.nbits;
    CodeUse use = {.points = data_.base.rows};
    if (options_.subquantizers == 0) {
      use.candidate_ns = CandidateNs(RerankSource::kMemory, data_.base.row_bytes());
    }
    ChooseIndexParameters(spec.metric, spec.dimension, use.points, RerankSource::kMemory, &spec);
    const std::string path = CachePath(".codebook");
    if (!options_.cache_folder.empty()) {
      if (std::ifstream in(path, std::ios::binary); in) {
        const std::string bytes((std::istreambuf_iterator<char>(in)), {});
        auto codebook = Codebook::Parse(bytes);
        Check(codebook.status());
        return *codebook;
      }
    }
    const double start = Seconds();
    ThreadExecutor executor;
    auto codebook = Codebook::Train(spec, Sample(spec), executor, nullptr, use);
    Check(codebook.status());
    train_seconds_ = Seconds() - start;
    if (!options_.cache_folder.empty()) {
      std::ofstream(path, std::ios::binary) << (*codebook)->Serialize();
    }
    return *codebook;
  }

  // Vectors to train on, from all over the base.
  Matrix Sample(const CodebookSpec& spec) const {
    constexpr size_t kSampleBytes = size_t{2} << 30;
    const size_t wanted = std::min({data_.base.rows, kSampleBytes / (4 * data_.base.dim),
                                    size_t{spec.nlist} * spec.training_vectors_per_list});
    Matrix sample(wanted, data_.base.dim);
    for (size_t i = 0; i < wanted; ++i) {
      ToFloat(data_.base.type, data_.base.row(i * data_.base.rows / wanted), data_.base.dim,
              sample.row(i).data());
    }
    return sample;
  }

  void MakeSettings() {
    std::vector<size_t> nprobe = options_.nprobe;
    if (nprobe.empty()) {
      // The share of lists that a recall needs falls with their number, about as its square root.
      for (double f : {0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0}) {
        nprobe.push_back(std::max<size_t>(
            1, static_cast<size_t>(f * std::sqrt(static_cast<double>(options_.nlist)))));
      }
    }
    for (size_t rerank : options_.rerank) {
      for (size_t n : nprobe) params_.push_back({.k = kK, .nprobe = n, .rerank = rerank});
    }
  }

  // What a server searches with by default.
  void AddDefaults(const Codebook& codebook) {
    const SearchDefaults defaults = ChooseSearchDefaults(codebook.spec(), codebook.probe_rule(),
                                                         codebook.search_needs(), data_.base.rows);
    params_.push_back({.k = kK, .nprobe = defaults.nprobe, .rerank = RerankFor(defaults, kK)});
    std::printf("%s: by default nprobe %zu, rerank %zu\n", name().c_str(), params_.back().nprobe,
                params_.back().rerank);
  }

  const Dataset& data_;
  const TesseraOptions options_;
  MemorySource source_;
  uint32_t subquantizers_ = 0;
  double train_seconds_ = 0;
  std::unique_ptr<InvertedLists> lists_;
  std::shared_ptr<const ListsSnapshot> snapshot_;
  SlotSet deleted_;
  size_t codebook_bytes_ = 0;
  std::vector<IvfSearchParams> params_;
  std::vector<std::vector<Neighbor>> results_;
};

}  // namespace

std::unique_ptr<Contender> MakeTessera(const Dataset& data, const TesseraOptions& options) {
  return std::make_unique<TesseraContender>(data, options);
}

}  // namespace tessera::bench
