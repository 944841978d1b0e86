#include <chrono>
#include <vector>

#include "tests/bench/contender.h"

#ifdef TESSERA_BENCH_FAISS
#include <faiss/IndexIVF.h>
#include <faiss/IndexRefine.h>
#include <faiss/index_factory.h>
#include <omp.h>

#include <cmath>

namespace tessera::bench {
namespace {

constexpr size_t kK = 10;

class FaissContender final : public Contender {
 public:
  FaissContender(const Dataset& data, const std::string& factory, size_t refine_factor)
      : data_(data), factory_(factory), refine_factor_(refine_factor) {
    const auto start = std::chrono::steady_clock::now();
    index_.reset(faiss::index_factory(
        static_cast<int>(data.base.dim), factory.c_str(),
        data.metric == Metric::kL2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT));
    const auto n = static_cast<faiss::Index::idx_t>(data.base.rows);
    const Matrix floats = data.Floats(0, data.base.rows);
    index_->train(std::min<faiss::Index::idx_t>(n, 262'144), floats.data());
    index_->add(n, floats.data());
    build_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    refine_ = dynamic_cast<faiss::IndexRefine*>(index_.get());
    ivf_ = dynamic_cast<faiss::IndexIVF*>(refine_ ? refine_->base_index : index_.get());
    if (refine_ != nullptr) refine_->k_factor = static_cast<float>(refine_factor);
    for (double f : {0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0}) {
      nprobe_.push_back(std::max<size_t>(
          1, static_cast<size_t>(f * std::sqrt(static_cast<double>(ivf_->nlist)))));
    }
    omp_set_num_threads(1);  // searching is measured on one thread
  }

  std::string name() const override {
    return "faiss 1.7.3 " + factory_ + " x" + std::to_string(refine_factor_);
  }
  std::vector<std::string> settings() const override {
    std::vector<std::string> out;
    for (size_t n : nprobe_) out.push_back("nprobe " + std::to_string(n));
    return out;
  }
  void Search(size_t setting, MatrixView queries, uint32_t* found) override {
    ivf_->nprobe = nprobe_[setting];
    distances_.resize(queries.rows * kK);
    labels_.resize(queries.rows * kK);
    index_->search(static_cast<faiss::Index::idx_t>(queries.rows), queries.data, kK,
                   distances_.data(), labels_.data());
    for (size_t i = 0; i < labels_.size(); ++i) found[i] = static_cast<uint32_t>(labels_[i]);
  }
  double bytes_per_point() const override {
    const double refine = factory_.find("SQ8") != std::string::npos     ? 1.0
                          : factory_.find("RFlat") != std::string::npos ? 4.0
                                                                        : 0.0;
    return static_cast<double>(ivf_->code_size) + 8 + refine * static_cast<double>(data_.base.dim);
  }

 private:
  const Dataset& data_;
  std::string factory_;
  size_t refine_factor_;
  std::unique_ptr<faiss::Index> index_;
  faiss::IndexRefine* refine_ = nullptr;
  faiss::IndexIVF* ivf_ = nullptr;
  std::vector<size_t> nprobe_;
  std::vector<float> distances_;
  std::vector<faiss::Index::idx_t> labels_;
};

}  // namespace

std::unique_ptr<Contender> MakeFaiss(const Dataset& data, const std::string& factory,
                                     size_t refine_factor) {
  return std::make_unique<FaissContender>(data, factory, refine_factor);
}

}  // namespace tessera::bench

#else

namespace tessera::bench {
std::unique_ptr<Contender> MakeFaiss(const Dataset&, const std::string&, size_t) { return nullptr; }
}  // namespace tessera::bench

#endif
