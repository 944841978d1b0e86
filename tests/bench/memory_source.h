#ifndef TESSERA_TESTS_BENCH_MEMORY_SOURCE_H_
#define TESSERA_TESTS_BENCH_MEMORY_SOURCE_H_

#include "index/base/matrix.h"
#include "index/ivf/searcher.h"

namespace tessera::bench {

// Full vectors that lie one after the other in memory: slot i is row i.
class MemorySource final : public VectorSource {
 public:
  explicit MemorySource(VectorsView vectors) : vectors_(vectors) {}
  ElementType element_type() const override { return vectors_.type; }
  void Locate(std::span<const Slot> slots, const std::byte** rows) const override {
    const size_t bytes = vectors_.row_bytes();
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = vectors_.data + slots[i] * bytes;
  }
  absl::Status Read(std::span<const Slot>, std::byte*, bool*) const override {
    return absl::InternalError("every vector is in memory");
  }

 private:
  VectorsView vectors_;
};

}  // namespace tessera::bench

#endif  // TESSERA_TESTS_BENCH_MEMORY_SOURCE_H_
