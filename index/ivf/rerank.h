#ifndef TESSERA_INDEX_IVF_RERANK_H_
#define TESSERA_INDEX_IVF_RERANK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/base/buffer.h"
#include "index/base/matrix.h"
#include "index/ivf/candidate_sieve.h"
#include "index/ivf/exact_comparer.h"
#include "index/ivf/query_scan.h"
#include "index/ivf/searcher.h"

namespace tessera {

class Codebook;

// Turns candidates into answers. Keeps its memory between calls; one thread at a time.
class Reranker {
 public:
  // Compares the candidates of each query (rows of `queries`, as the user gave them) exactly with
  // their full vectors. Their scan.distances are replaced; candidates whose vectors are gone are
  // dropped. Where many were chosen by their codes, the nearest are compared first, and then of the
  // rest those that still have a chance of being among the k nearest (index/quantize/README.md,
  // "Candidates that are compared").
  //
  // Where the source has scalar codes, these stand for the vectors in that, and those that are too
  // far by them to be among the k nearest are dropped; *refined grows by the codes compared.
  absl::Status Rerank(const Codebook& codebook, size_t k, MatrixView queries,
                      const VectorSource& vectors, std::span<QueryScan> scans, uint64_t* refined);

  // The k nearest candidates and those that are as far as the last of them, nearest first.
  static void Best(size_t k, QueryScan& scan, std::vector<Neighbor>* result);

 private:
  // Leaves of the candidates those that may be among the k nearest by their scalar codes.
  absl::Status Sift(const Codebook& codebook, size_t k, std::span<const float> query,
                    const VectorSource& vectors, QueryScan& scan, uint64_t* refined);
  // Where what the sieve has left turns out to be gone, others may be near for all that it said:
  // makes all candidates of such a query `rest_`. False if there is none.
  bool TakeBackSifted(std::span<QueryScan> scans);
  // Leaves of `first`, all candidates of the scan, those that are compared first, and adds their
  // estimates to estimates_; `rest` becomes the others, which lie behind them. Neither changes
  // where that promises nothing.
  void Split(const Codebook& codebook, size_t k, std::span<const float> query,
             const QueryScan& scan, Candidates* first, Candidates* rest);
  // Of the rest, by the estimates of the first and what came out for them.
  void DropHopeless(const Codebook& codebook, size_t k, std::span<const float> query,
                    const float* estimates, const Candidates& first, Candidates* rest);

  CandidateSieve sieve_;
  ExactComparer comparer_;
  std::vector<Candidates> first_, rest_;
  std::vector<float> estimates_;
  std::vector<std::vector<Slot>> before_sifting_;  // the candidates of each query
  AlignedBuffer<uint32_t> chosen_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_RERANK_H_
