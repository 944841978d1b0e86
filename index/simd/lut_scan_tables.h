#ifndef TESSERA_INDEX_SIMD_LUT_SCAN_TABLES_H_
#define TESSERA_INDEX_SIMD_LUT_SCAN_TABLES_H_

#include <cstddef>
#include <cstdint>

#include "index/base/buffer.h"
#include "index/simd/lut_scan.h"

namespace tessera {

// Makes the lookup tables of queries for the codewords of one product quantizer. Immutable after
// construction, thread-safe; keeps its own transposed copy of the codewords.
class LutScanTables {
 public:
  LutScanTables() = default;
  // `codewords`: subquantizers x table_entries() x sub_dimension floats.
  LutScanTables(const LutScanShape& shape, uint32_t sub_dimension, const float* codewords);

  // Entry e of table j stands for factor * <q_j, codeword e of j>, as one byte:
  //   sum over j of factor * <q_j, w_j>  ~  scale * (sum of the bytes) + offset.
  // `query` has subquantizers x sub_dimension floats, `tables` tables_bytes() bytes, `scratch`
  // tables_bytes() floats. The error of the sum is at most scale / 2 per table.
  void Build(const float* query, float factor, uint8_t* tables, float* scale, float* offset,
             float* scratch) const;

  const LutScanShape& shape() const { return shape_; }
  // Floats of a query: the last subquantizer may reach beyond its dimension.
  size_t padded_dimension() const { return size_t{shape_.subquantizers} * sub_dimension_; }
  size_t memory_bytes() const { return codewords_.size() * sizeof(float); }

 private:
  LutScanShape shape_;
  uint32_t sub_dimension_ = 0;
  AlignedBuffer<float> codewords_;  // subquantizers x sub_dimension x table_entries()
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_LUT_SCAN_TABLES_H_
