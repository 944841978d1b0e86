#ifndef TESSERA_INDEX_IVF_COARSE_QUANTIZER_H_
#define TESSERA_INDEX_IVF_COARSE_QUANTIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "index/base/types.h"
#include "index/ivf/codebook.h"

namespace tessera {

// Finds the lists whose centroids are nearest to a query. Immutable and thread-safe.
class CoarseQuantizer {
 public:
  explicit CoarseQuantizer(std::shared_ptr<const Codebook> codebook);

  // lists[0, nprobe) = the nearest lists, nearest first; Neighbor::slot is the list and
  // Neighbor::distance the exact |q - c|^2, or -<q, c>. `query` has the codebook's dimension and
  // is normalised for COSINE. 1 <= nprobe <= nlist.
  void Nearest(const float* query, size_t nprobe, std::vector<Neighbor>* lists) const;

  size_t memory_bytes() const { return 0; }

 private:
  std::shared_ptr<const Codebook> codebook_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_COARSE_QUANTIZER_H_
