#ifndef TESSERA_INDEX_IVF_EXACT_COMPARER_H_
#define TESSERA_INDEX_IVF_EXACT_COMPARER_H_

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "index/base/matrix.h"
#include "index/base/types.h"
#include "index/ivf/row_fetcher.h"
#include "index/ivf/searcher.h"
#include "index/simd/exact.h"

namespace tessera {

// Some candidates of one query. Does not own its arrays.
struct Candidates {
  float* distances = nullptr;
  Slot* slots = nullptr;
  size_t count = 0;
};

// Compares candidates with their full vectors. Keeps its memory between calls; one thread at a
// time.
class ExactComparer {
 public:
  // Gives candidates[q] their distances from queries.row(q), as the user gave it. Those whose
  // vectors are gone are dropped. Vectors that are not in memory are read for many queries at once.
  absl::Status Compare(Metric metric, MatrixView queries, const VectorSource& vectors,
                       std::span<Candidates> candidates);

 private:
  absl::Status CompareMany(Metric metric, MatrixView query, const VectorSource& vectors,
                           size_t most, Candidates* candidates);
  absl::Status CompareTogether(Metric metric, MatrixView queries, const VectorSource& vectors,
                               std::span<Candidates> candidates);

  RowFetcher fetcher_;
  std::unique_ptr<ExactScorer> scorer_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_EXACT_COMPARER_H_
