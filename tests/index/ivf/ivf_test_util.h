#ifndef TESSERA_TESTS_INDEX_IVF_IVF_TEST_UTIL_H_
#define TESSERA_TESTS_INDEX_IVF_IVF_TEST_UTIL_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <span>
#include <vector>

#include "index/base/matrix.h"
#include "index/ivf/searcher.h"
#include "index/quantize/scalar_code.h"
#include "index/simd/exact.h"
#include "tests/index/codebook/codebook_test_util.h"

namespace tessera::test {

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

}  // namespace tessera::test

#endif  // TESSERA_TESTS_INDEX_IVF_IVF_TEST_UTIL_H_
