#ifndef TESSERA_INDEX_QUANTIZE_SCALAR_SIEVE_H_
#define TESSERA_INDEX_QUANTIZE_SCALAR_SIEVE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/base/types.h"
#include "index/quantize/scalar_code.h"

namespace tessera {

// Leaves of a query's candidates those that may be among its k nearest by their scalar codes: none
// of the k nearest is lost. Keeps its memory between calls; one thread at a time.
class ScalarSieve {
 public:
  void SetQuery(Metric metric, std::span<const float> query);

  // rows[i] is the code of slots[i], or null: such stay. Brings those that stay to the front of
  // `slots` and returns how many there are; rows are left in no order. *compared grows by the codes
  // that were compared.
  size_t Sift(size_t k, const std::byte** rows, Slot* slots, size_t n, uint64_t* compared);

 private:
  std::unique_ptr<ScalarScorer> scorer_;
  std::vector<float> lower_;
  std::vector<float> upper_;
  std::vector<float> sorted_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_QUANTIZE_SCALAR_SIEVE_H_
