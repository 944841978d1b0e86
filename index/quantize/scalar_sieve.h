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
// of the k nearest is lost. Keeps its memory between queries; one thread at a time.
class ScalarSieve {
 public:
  // Begins with a query, and no candidate.
  void SetQuery(Metric metric, std::span<const float> query);

  // Adds n candidates. rows[i] is the code of one, or null: such stay. *compared grows by the codes
  // that were compared.
  void Add(const std::byte* const* rows, size_t n, uint64_t* compared);

  // About the distance of the i-th candidate that was added; the largest float where that has no
  // code.
  float Estimate(size_t i) const;

  // `slots` are those of all candidates in the order in which they were added. Brings those that
  // stay to the front, in their order, and returns how many there are; the others lie behind them.
  size_t Sift(size_t k, Slot* slots);

 private:
  std::unique_ptr<ScalarScorer> scorer_;
  std::vector<float> lower_, upper_;  // of each candidate
  std::vector<float> sorted_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_QUANTIZE_SCALAR_SIEVE_H_
