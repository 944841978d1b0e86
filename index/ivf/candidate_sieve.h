#ifndef TESSERA_INDEX_IVF_CANDIDATE_SIEVE_H_
#define TESSERA_INDEX_IVF_CANDIDATE_SIEVE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/base/types.h"
#include "index/ivf/row_fetcher.h"
#include "index/ivf/searcher.h"
#include "index/quantize/scalar_sieve.h"

namespace tessera {

// A sieve of the scalar codes that a source has of a query's candidates. Keeps its memory between
// queries; one thread at a time.
class CandidateSieve : public ScalarSieve {
 public:
  // Adds candidates, as ScalarSieve does.
  void Add(const VectorSource& vectors, std::span<const Slot> slots, uint64_t* compared);
  // The same, but what the source has no code of is read, up to 64 MiB, and its code made: what
  // comes out does not depend on whether a source has them all already.
  absl::Status AddAll(Metric metric, size_t dimension, const VectorSource& vectors,
                      std::span<const Slot> slots, uint64_t* compared);

 private:
  void Locate(const VectorSource& vectors, std::span<const Slot> slots);
  absl::Status MakeCodes(Metric metric, size_t dimension, const VectorSource& vectors,
                         std::span<const Slot> slots);

  std::vector<const std::byte*> rows_;
  std::vector<Slot> missing_;  // candidates whose codes are made
  std::vector<std::byte> made_;
  std::vector<float> floats_;
  RowFetcher fetcher_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_CANDIDATE_SIEVE_H_
