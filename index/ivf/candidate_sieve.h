#ifndef TESSERA_INDEX_IVF_CANDIDATE_SIEVE_H_
#define TESSERA_INDEX_IVF_CANDIDATE_SIEVE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/types.h"
#include "index/ivf/searcher.h"
#include "index/quantize/scalar_sieve.h"

namespace tessera {

// Leaves of a query's candidates those that may be among its k nearest by the scalar codes that a
// source has of them. Keeps its memory between calls; one thread at a time.
class CandidateSieve {
 public:
  // Brings the slots that stay to the front and returns how many there are. *compared grows by the
  // codes that were compared.
  size_t Sift(Metric metric, size_t k, std::span<const float> query, const VectorSource& vectors,
              std::span<Slot> slots, uint64_t* compared);

 private:
  ScalarSieve sieve_;
  std::vector<const std::byte*> rows_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_CANDIDATE_SIEVE_H_
