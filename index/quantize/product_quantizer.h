#ifndef TESSERA_INDEX_QUANTIZE_PRODUCT_QUANTIZER_H_
#define TESSERA_INDEX_QUANTIZE_PRODUCT_QUANTIZER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"

namespace tessera {

struct ProductQuantizerOptions {
  uint32_t subquantizers = 0;  // m, at most the dimension
  uint32_t nbits = 4;          // 4 or 8
  uint32_t iterations = 25;
  uint64_t seed = 1;
};

// A product quantizer (Jegou, Douze and Schmid, 2011): a vector is cut into m parts of
// sub_dimension() = ceil(dimension / m) components, the last ones padded with zeros, and each part
// is replaced by the number of the nearest of 2^nbits codewords. Immutable, thread-safe, movable.
class ProductQuantizer {
 public:
  ProductQuantizer() = default;  // of dimension 0; to be assigned to

  // Takes (m * 2^nbits) x ceil(dimension / m) codewords, subquantizer 0 first. Shapes must agree.
  ProductQuantizer(size_t dimension, uint32_t subquantizers, uint32_t nbits, Matrix codewords);

  // k-means in each part, parallel over parts; only a bounded share of `vectors` is used. The same
  // vectors and options give the same codewords whatever the parallelism. INVALID_ARGUMENT for no
  // vectors or options out of range; CANCELLED if the observer (may be null) says so.
  static absl::StatusOr<ProductQuantizer> Train(MatrixView vectors,
                                                const ProductQuantizerOptions& options,
                                                Executor& executor, ProgressObserver* observer);

  size_t dimension() const { return dimension_; }
  uint32_t subquantizers() const { return subquantizers_; }
  uint32_t nbits() const { return nbits_; }
  uint32_t codewords() const { return 1u << nbits_; }
  uint32_t sub_dimension() const { return sub_dimension_; }
  size_t code_bytes() const { return (size_t{subquantizers_} * nbits_ + 7) / 8; }
  size_t memory_bytes() const;

  // Codewords of subquantizer j: codewords() x sub_dimension() floats.
  const float* codewords(uint32_t j) const {
    return codewords_.data() + size_t{j} * codewords() * sub_dimension_;
  }
  MatrixView all_codewords() const { return codewords_.view(); }

  // codes: code_bytes() for each row of `vectors` (dimension() columns), subquantizer 0 first, in
  // the low nibble for 4 bits. Runs in the calling thread.
  void Encode(MatrixView vectors, uint8_t* codes) const;

  // The dimension() floats that a code stands for.
  void Decode(const uint8_t* code, float* out) const;

 private:
  void EncodeBlock(const float* rows, size_t count, float* block, uint8_t* codes) const;

  size_t dimension_ = 0;
  uint32_t subquantizers_ = 0;
  uint32_t nbits_ = 4;
  uint32_t sub_dimension_ = 0;
  Matrix codewords_;               // (m * codewords) x sub_dimension
  std::vector<float> half_norms_;  // |codeword|^2 / 2
};

}  // namespace tessera

#endif  // TESSERA_INDEX_QUANTIZE_PRODUCT_QUANTIZER_H_
