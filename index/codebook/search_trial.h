#ifndef TESSERA_INDEX_CODEBOOK_SEARCH_TRIAL_H_
#define TESSERA_INDEX_CODEBOOK_SEARCH_TRIAL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/codebook/codebook.h"
#include "index/codebook/probe_rule.h"
#include "index/codebook/probe_trial.h"
#include "index/simd/lut_scan_tables.h"

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
  // So many rows near a query are all compared by their codes; of those behind them, the drawn
  // ones.
  static constexpr size_t kNear = 1'000;

  // At least one query and kNeighbors rows, as Codebook::Prepare leaves them, of which `drawn` are
  // some, ascending and spread evenly, and `drawn_lists` the lists of these. `share` of all
  // neighbours are to be in the lists searched, 0 < share <= 1. The codebook, whose centroids stay
  // what they are, queries and rows must outlive this.
  SearchTrial(const Codebook& codebook, MatrixView queries, MatrixView rows,
              std::span<const uint32_t> drawn, std::span<const uint32_t> drawn_lists, double share,
              Executor& executor);

  // Of how many lists each query is to probe.
  const ProbeRule& probe_rule() const { return probe_rule_; }
  // The least number of lists, on average, that hold the share of all neighbours by that rule.
  uint32_t lists() const { return lists_; }

  // About the least number of candidates, the best by their codes of all in the lists that are
  // searched by default then, that hold `share` of all neighbours: with the quantizer that the
  // codebook has now, in which `drawn` are the codes of the drawn rows.
  uint32_t Candidates(const EncodedVectors& drawn, double share, Executor& executor) const;

 private:
  // What is compared with one query: the rows near it, nearest first, and which of the drawn ones.
  struct Nearest {
    std::vector<uint32_t> rows;
    std::vector<float> distances;  // of the rows, exact: of L2 half, less the query's share
    std::vector<uint32_t> lists;   // of the rows
    std::vector<uint32_t> drawn;
  };

  size_t CodedQueries() const;
  void FindNearest(size_t first_query, size_t count);
  ProbeTrial::Query RankLists(size_t query) const;
  void ChooseCompared(std::span<const uint32_t> drawn, std::span<const uint32_t> drawn_lists,
                      size_t searched, size_t query);
  std::vector<float> ListDistances(size_t query) const;
  std::vector<float> ListRanks(size_t query) const;
  void RankCandidates(const EncodedVectors& drawn, const LutScanTables& lut, size_t query,
                      uint32_t* ranks) const;

  const Codebook& codebook_;
  MatrixView queries_;
  MatrixView rows_;
  std::vector<float> half_norms_;  // |c|^2 / 2 of each centroid, for L2
  std::vector<float> rank_terms_;  // Codebook::RankTerms
  std::vector<Nearest> nearest_;   // of each query
  ProbeRule probe_rule_;
  uint32_t lists_ = 0;
  double rows_per_drawn_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CODEBOOK_SEARCH_TRIAL_H_
