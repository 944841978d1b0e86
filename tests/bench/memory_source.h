#ifndef TESSERA_TESTS_BENCH_MEMORY_SOURCE_H_
#define TESSERA_TESTS_BENCH_MEMORY_SOURCE_H_

#include <vector>

#include "index/base/buffer.h"
#include "index/base/matrix.h"
#include "index/ivf/searcher.h"
#include "index/quantize/scalar_code.h"
#include "index/simd/convert.h"

namespace tessera::bench {

// Full vectors that lie one after the other in memory: slot i is row i.
class MemorySource final : public VectorSource {
 public:
  explicit MemorySource(VectorsView vectors) : vectors_(vectors) {}

  void AddScalarCodes(Metric metric) {
    code_bytes_ = ScalarRowBytes(vectors_.dim);
    codes_ = AlignedBuffer<std::byte>(vectors_.rows * code_bytes_);
    std::vector<float> vector(vectors_.dim);
    for (size_t i = 0; i < vectors_.rows; ++i) {
      ToFloat(vectors_.type, vectors_.row(i), vectors_.dim, vector.data());
      EncodeScalar(metric, vector, codes_.data() + i * code_bytes_);
    }
  }
  // Of a vector, what searches read of it but for those last compared in full.
  size_t bytes_per_vector() const { return code_bytes_ > 0 ? code_bytes_ : vectors_.row_bytes(); }

  ElementType element_type() const override { return vectors_.type; }
  void Locate(std::span<const Slot> slots, const std::byte** rows) const override {
    const size_t bytes = vectors_.row_bytes();
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = vectors_.data + slots[i] * bytes;
  }
  absl::Status Read(std::span<const Slot>, std::byte*, bool*) const override {
    return absl::InternalError("every vector is in memory");
  }
  bool has_scalar_codes() const override { return code_bytes_ > 0; }
  void LocateScalar(std::span<const Slot> slots, const std::byte** rows) const override {
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = codes_.data() + slots[i] * code_bytes_;
  }

 private:
  VectorsView vectors_;
  size_t code_bytes_ = 0;  // 0: none
  AlignedBuffer<std::byte> codes_;
};

}  // namespace tessera::bench

#endif  // TESSERA_TESTS_BENCH_MEMORY_SOURCE_H_
