#include "index/quantize/codeword_trainer.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "index/cluster/random.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Iterations stop once the summed cost falls by less than this share.
constexpr double kImprovementMin = 1e-5;
// Points that seeds are drawn from, for each codeword.
constexpr size_t kSeedPointsPerCodeword = 64;

class CodewordTrainer {
 public:
  CodewordTrainer(const float* blocks, size_t n, size_t dim, size_t count, uint64_t seed,
                  float* codewords)
      : blocks_(blocks),
        n_(n),
        dim_(dim),
        count_(count),
        random_(seed),
        codewords_(codewords),
        half_norms_(count),
        numbers_((n + kPqBlock - 1) / kPqBlock * kPqBlock),
        costs_(numbers_.size()) {}

  // k-means++: each next codeword is a point drawn in proportion to its squared distance from the
  // nearest one so far. All distances zero: a point drawn uniformly.
  void Seed() {
    const size_t used = std::min(n_, kSeedPointsPerCodeword * count_);
    std::vector<size_t> points(used);
    for (size_t i = 0; i < used; ++i) points[i] = i * n_ / used;
    std::vector<double> nearest(used, std::numeric_limits<double>::infinity());
    size_t next = random_.Below(used);
    for (size_t c = 0; c < count_; ++c) {
      CopyPoint(points[next], codewords_ + c * dim_);
      double sum = 0;
      for (size_t i = 0; i < used; ++i) {
        nearest[i] = std::min(nearest[i], SquaredDistanceTo(points[i], codewords_ + c * dim_));
        sum += nearest[i];
      }
      double target = random_.Uniform() * sum;
      next = random_.Below(used);
      for (size_t i = 0; i < used && sum > 0; ++i) {
        target -= nearest[i];
        if (target < 0) {
          next = i;
          break;
        }
      }
    }
  }

  // One step of Lloyd's algorithm; returns the summed cost before it (squared distances are
  // |point|^2 + 2 cost, and the norms do not change).
  double Step() {
    for (size_t c = 0; c < count_; ++c) {
      const float* word = codewords_ + c * dim_;
      half_norms_[c] = 0.5f * std::inner_product(word, word + dim_, word, 0.0f);
    }
    for (size_t i = 0; i < n_; i += kPqBlock) {
      NearestCodewords(blocks_ + i * dim_, dim_, codewords_, half_norms_.data(), count_,
                       numbers_.data() + i, costs_.data() + i);
    }
    const double cost = std::accumulate(costs_.begin(), costs_.begin() + n_, 0.0);
    MoveToMeans();
    return cost;
  }

  // What "no change" is measured against: the summed squared distances, at least 0.
  double Error(double cost) const { return norms_ + 2 * cost; }
  void SumNorms() {
    const size_t floats = numbers_.size() * dim_;
    norms_ = 0;
    for (size_t i = 0; i < floats; ++i) norms_ += double{blocks_[i]} * blocks_[i];
  }

 private:
  float Component(size_t point, size_t t) const {
    return blocks_[(point / kPqBlock * dim_ + t) * kPqBlock + point % kPqBlock];
  }
  void CopyPoint(size_t point, float* out) const {
    for (size_t t = 0; t < dim_; ++t) out[t] = Component(point, t);
  }
  double SquaredDistanceTo(size_t point, const float* word) const {
    double sum = 0;
    for (size_t t = 0; t < dim_; ++t) {
      const double difference = double{Component(point, t)} - word[t];
      sum += difference * difference;
    }
    return sum;
  }

  void MoveToMeans() {
    std::vector<size_t> sizes(count_);
    for (size_t i = 0; i < n_; ++i) ++sizes[numbers_[i]];
    std::vector<double> sums(count_);
    for (size_t t = 0; t < dim_; ++t) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (size_t begin = 0; begin < n_; begin += kPqBlock) {
        const float* values = blocks_ + (begin / kPqBlock * dim_ + t) * kPqBlock;
        const size_t end = std::min(kPqBlock, n_ - begin);
        for (size_t i = 0; i < end; ++i) sums[numbers_[begin + i]] += values[i];
      }
      for (size_t c = 0; c < count_; ++c) {
        if (sizes[c] != 0) {
          codewords_[c * dim_ + t] = static_cast<float>(sums[c] / static_cast<double>(sizes[c]));
        }
      }
    }
    for (size_t c = 0; c < count_; ++c) {
      if (sizes[c] == 0) Refill(c, &sizes);
    }
  }

  // Gives an empty cluster a random point of the largest one (of any, if all have given theirs).
  void Refill(size_t empty, std::vector<size_t>* sizes) {
    const size_t largest =
        static_cast<size_t>(std::max_element(sizes->begin(), sizes->end()) - sizes->begin());
    size_t point = random_.Below(n_);
    for (size_t tried = 0; tried < n_ && numbers_[point] != largest; ++tried) {
      point = point + 1 == n_ ? 0 : point + 1;
    }
    CopyPoint(point, codewords_ + empty * dim_);
    (*sizes)[largest] /= 2;
    (*sizes)[empty] = 1;
  }

  const float* blocks_;
  const size_t n_;
  const size_t dim_;
  const size_t count_;
  Random random_;
  float* codewords_;
  double norms_ = 0;
  std::vector<float> half_norms_;
  std::vector<uint8_t> numbers_;
  std::vector<float> costs_;
};

}  // namespace

void TrainCodewords(const float* blocks, size_t n, size_t dim, size_t count, size_t iterations,
                    uint64_t seed, float* codewords) {
  CodewordTrainer trainer(blocks, n, dim, count, seed, codewords);
  trainer.SumNorms();
  trainer.Seed();
  double error_before = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < iterations; ++i) {
    const double error = trainer.Error(trainer.Step());
    if (i > 0 && error_before - error <= kImprovementMin * error_before) break;
    error_before = error;
  }
}

}  // namespace tessera
