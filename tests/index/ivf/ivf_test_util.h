#ifndef TESSERA_TESTS_INDEX_IVF_IVF_TEST_UTIL_H_
#define TESSERA_TESTS_INDEX_IVF_IVF_TEST_UTIL_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/ivf/codebook.h"
#include "index/ivf/searcher.h"
#include "index/quantize/scalar_code.h"
#include "index/simd/convert.h"
#include "index/simd/exact.h"

namespace tessera::test {

// Vectors without any structure.
inline Matrix Noise(size_t n, size_t dim, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  Matrix out(n, dim);
  for (size_t i = 0; i < n * dim; ++i) out.data()[i] = normal(rng);
  return out;
}

// Clustered random vectors: what inverted lists are for.
inline Matrix RandomVectors(size_t n, size_t dim, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const size_t clusters = 20;
  std::vector<float> centers(clusters * dim);
  std::mt19937 center_rng(99);
  for (float& x : centers) x = 2 * normal(center_rng);
  Matrix out(n, dim);
  for (size_t i = 0; i < n; ++i) {
    const float* center = &centers[rng() % clusters * dim];
    for (size_t d = 0; d < dim; ++d) out.row(i)[d] = center[d] + normal(rng);
  }
  return out;
}

// The array of a .npy file of tests/data/wordnet, whose header takes 128 bytes.
inline Matrix ReadWordNet(const std::string& name, ElementType type, size_t rows, size_t dim) {
  std::ifstream file(std::string(TESSERA_TEST_DATA_DIR "/wordnet/") + name, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Matrix matrix(rows, dim);
  EXPECT_EQ(bytes.size(), 128 + rows * dim * ElementSize(type)) << name;
  if (bytes.size() == 128 + rows * dim * ElementSize(type)) {
    ToFloat(type, reinterpret_cast<const std::byte*>(bytes.data() + 128), rows * dim,
            matrix.data());
  }
  return matrix;
}

inline std::shared_ptr<const Codebook> TrainCodebook(Metric metric, MatrixView sample,
                                                     uint32_t nlist, uint32_t m, uint32_t nbits) {
  CodebookSpec spec;
  spec.metric = metric;
  spec.dimension = static_cast<uint32_t>(sample.cols);
  spec.nlist = nlist;
  spec.subquantizers = m;
  spec.nbits = nbits;
  spec.iterations = 5;
  InlineExecutor executor;
  auto codebook = Codebook::Train(spec, sample, executor, nullptr);
  EXPECT_TRUE(codebook.ok()) << codebook.status();
  return *codebook;
}

inline EncodedVectors Encode(const Codebook& codebook, MatrixView vectors) {
  InlineExecutor executor;
  EncodedVectors out;
  codebook.Encode(vectors, executor, &out);
  return out;
}

inline std::vector<Slot> Iota(size_t n, Slot first) {
  std::vector<Slot> slots(n);
  std::iota(slots.begin(), slots.end(), first);
  return slots;
}

// Vectors in memory; those whose slot is a multiple of `on_disk_every` pretend to be on disk, and
// those in `gone` cannot be read any more.
class MatrixSource : public VectorSource {
 public:
  explicit MatrixSource(MatrixView vectors, size_t on_disk_every = 0)
      : vectors_(vectors), on_disk_every_(on_disk_every) {}

  ElementType element_type() const override { return ElementType::kFloat32; }
  void Locate(std::span<const Slot> slots, const std::byte** rows) const override {
    for (size_t i = 0; i < slots.size(); ++i) {
      rows[i] = OnDisk(slots[i]) ? nullptr : Row(slots[i]);
    }
  }
  absl::Status Read(std::span<const Slot> slots, std::byte* out, bool* found) const override {
    ++reads;
    const size_t bytes = vectors_.cols * sizeof(float);
    for (size_t i = 0; i < slots.size(); ++i) {
      EXPECT_TRUE(OnDisk(slots[i]));
      found[i] = gone.count(slots[i]) == 0;
      if (found[i]) std::memcpy(out + i * bytes, Row(slots[i]), bytes);
    }
    return absl::OkStatus();
  }

  // Gives slots that are no multiple of `every` a scalar code, too.
  void AddScalarCodes(Metric metric, size_t every) {
    without_code_ = every;
    const size_t bytes = ScalarRowBytes(vectors_.cols);
    codes_.resize(vectors_.rows * bytes);
    for (size_t i = 0; i < vectors_.rows; ++i) {
      EncodeScalar(metric, vectors_.row(i), &codes_[i * bytes]);
    }
  }
  bool has_scalar_codes() const override { return !codes_.empty(); }
  void LocateScalar(std::span<const Slot> slots, const std::byte** rows) const override {
    for (size_t i = 0; i < slots.size(); ++i) {
      const bool coded = slots[i] % without_code_ != 0;
      rows[i] = coded ? &codes_[slots[i] * ScalarRowBytes(vectors_.cols)] : nullptr;
    }
  }

  std::set<Slot> gone;
  mutable size_t reads = 0;

 private:
  bool OnDisk(Slot slot) const { return on_disk_every_ > 0 && slot % on_disk_every_ == 0; }
  const std::byte* Row(Slot slot) const {
    return reinterpret_cast<const std::byte*>(vectors_.row(slot).data());
  }

  MatrixView vectors_;
  size_t on_disk_every_;
  size_t without_code_ = 1;
  std::vector<std::byte> codes_;
};

// The k nearest by an exact scan of all vectors whose slot is not in `without`.
inline std::vector<Neighbor> ExactScan(Metric metric, MatrixView vectors,
                                       std::span<const float> query, size_t k,
                                       const std::set<Slot>& without = {}) {
  const ExactScorer scorer(metric, ElementType::kFloat32, query);
  std::vector<Neighbor> all;
  for (size_t i = 0; i < vectors.rows; ++i) {
    if (without.count(static_cast<Slot>(i)) > 0) continue;
    const std::byte* row = reinterpret_cast<const std::byte*>(vectors.row(i).data());
    float distance;
    scorer.Score(&row, 1, &distance);
    all.push_back({distance, static_cast<Slot>(i)});
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(k, all.size()));
  return all;
}

inline double Recall(const std::vector<Neighbor>& found, const std::vector<Neighbor>& truth) {
  size_t hits = 0;
  for (const Neighbor& t : truth) {
    hits +=
        std::any_of(found.begin(), found.end(), [&](const Neighbor& f) { return f.slot == t.slot; })
            ? 1
            : 0;
  }
  return truth.empty() ? 1.0 : static_cast<double>(hits) / static_cast<double>(truth.size());
}

// The inner products of a query's parts with all codewords, subquantizer 0 first: the lookup table
// of a search before it is rounded. `query` has what Codebook::ForTable gives.
inline std::vector<float> InnerProductTable(const Codebook& codebook, const float* query) {
  std::vector<float> table;
  for (uint32_t j = 0; j < codebook.subquantizers(); ++j) {
    const float* part = query + size_t{j} * codebook.sub_dimension();
    for (uint32_t c = 0; c < codebook.codewords(); ++c) {
      const float* word = codebook.codewords(j) + size_t{c} * codebook.sub_dimension();
      table.push_back(std::inner_product(word, word + codebook.sub_dimension(), part, 0.0f));
    }
  }
  return table;
}

}  // namespace tessera::test

#endif  // TESSERA_TESTS_INDEX_IVF_IVF_TEST_UTIL_H_
