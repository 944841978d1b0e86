#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/bench/contender.h"

#ifdef TESSERA_BENCH_HNSWLIB
#include <hnswlib/hnswlib.h>

namespace tessera::bench {
namespace {

constexpr size_t kK = 10;

class HnswlibContender final : public Contender {
 public:
  HnswlibContender(const Dataset& data, size_t m, const std::string& cache) : data_(data), m_(m) {
    const size_t dim = data.base.dim, n = data.base.rows;
    if (data.metric == Metric::kL2) {
      space_ = std::make_unique<hnswlib::L2Space>(dim);
    } else {
      space_ = std::make_unique<hnswlib::InnerProductSpace>(dim);
    }
    const std::string path = cache + "/" + data.name + "-hnsw" + std::to_string(m);
    if (!cache.empty() && std::ifstream(path)) {
      index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), path);
      return;
    }
    index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), n, m, 200);
    const auto start = std::chrono::steady_clock::now();
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t i; (i = next.fetch_add(1)) < n;) {
        index_->addPoint(data.Floats(i, 1).data(), i);
      }
    };
    std::vector<std::thread> threads;
    for (unsigned t = 1; t < std::thread::hardware_concurrency(); ++t) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    build_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!cache.empty()) index_->saveIndex(path);
  }

  std::string name() const override { return "hnswlib 0.6.2 M " + std::to_string(m_); }
  std::vector<std::string> settings() const override {
    std::vector<std::string> out;
    for (size_t ef : kEf) out.push_back("ef " + std::to_string(ef));
    return out;
  }
  void Search(size_t setting, MatrixView queries, uint32_t* found) override {
    index_->setEf(kEf[setting]);
    for (size_t q = 0; q < queries.rows; ++q) {
      auto result = index_->searchKnn(queries.row(q).data(), kK);
      for (size_t i = 0; i < kK && !result.empty(); ++i) {
        found[q * kK + i] = static_cast<uint32_t>(result.top().second);
        result.pop();
      }
    }
  }
  double bytes_per_point() const override {
    return static_cast<double>(index_->size_data_per_element_ + sizeof(void*) + sizeof(int));
  }

 private:
  static constexpr std::array<size_t, 12> kEf = {10,  20,  30,  45,  60,  80,
                                                 110, 150, 220, 320, 480, 700};

  const Dataset& data_;
  size_t m_;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> index_;
};

}  // namespace

std::unique_ptr<Contender> MakeHnswlib(const Dataset& data, size_t m, const std::string& cache) {
  return std::make_unique<HnswlibContender>(data, m, cache);
}

}  // namespace tessera::bench

#else

namespace tessera::bench {
std::unique_ptr<Contender> MakeHnswlib(const Dataset&, size_t, const std::string&) {
  return nullptr;
}
}  // namespace tessera::bench

#endif
