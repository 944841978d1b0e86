#ifndef TESSERA_INDEX_IVF_SEARCH_TRIAL_H_
#define TESSERA_INDEX_IVF_SEARCH_TRIAL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/ivf/codebook.h"

namespace tessera {

// Measures how deep searches must look to find the true neighbours. Queries are vectors that have
// been held back from training: centroids come to lie too near to what they are trained on. The
// same vectors and codebook give the same numbers on the same machine, whatever the parallelism.
// Thread-safe after construction.
class SearchTrial {
 public:
  // What a training sample of so many vectors should hold back, none if it is small.
  static size_t QueriesOf(size_t rows);

  // Neighbours that are to be found.
  static constexpr size_t kNeighbors = 10;
  // Of each query, the vectors that are compared by their codes: what Candidates() is at most.
  static constexpr size_t kCompared = 1'000;

  // At least one query and kNeighbors rows, as Codebook::Prepare leaves them. They must outlive
  // this. Of `codebook` only what Assign and centroids() give is used.
  SearchTrial(const Codebook& codebook, MatrixView queries, MatrixView rows, Executor& executor);

  // The least number of lists, the nearest to each query, that hold `share` of all neighbours.
  // 0 < share <= 1.
  uint32_t Lists(double share) const;

  // The least number of candidates, the best by their codes in `codebook`, that hold `share` of all
  // neighbours. The codebook's centroids are those of the constructor's.
  uint32_t Candidates(const Codebook& codebook, double share, Executor& executor) const;

 private:
  // Of one query.
  struct Nearest {
    std::vector<uint32_t> rows;  // nearest first
    std::vector<uint32_t> lists;
  };

  void FindNearest(size_t first_query, size_t count);
  void RankLists(const Codebook& codebook, std::span<const float> half_norms, size_t query);
  void RankCandidates(const Codebook& codebook, size_t query, uint32_t* ranks) const;
  Matrix Gathered(const Nearest& nearest) const;

  MatrixView queries_;
  MatrixView rows_;
  Metric metric_;
  std::vector<Nearest> nearest_;      // of each query
  std::vector<uint32_t> list_ranks_;  // of the list of each neighbour of each query, from 0
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_SEARCH_TRIAL_H_
