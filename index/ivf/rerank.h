#ifndef TESSERA_INDEX_IVF_RERANK_H_
#define TESSERA_INDEX_IVF_RERANK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/base/buffer.h"
#include "index/base/matrix.h"
#include "index/ivf/candidate_sieve.h"
#include "index/ivf/query_scan.h"
#include "index/ivf/searcher.h"
#include "index/simd/exact.h"

namespace tessera {

// Turns candidates into answers. Keeps its memory between calls; one thread at a time.
class Reranker {
 public:
  // Compares the candidates of each query (rows of `queries`, as the user gave them) exactly with
  // their full vectors. Their scan.distances are replaced; candidates whose vectors are gone are
  // dropped. Vectors that are not in memory are read for many queries at once.
  //
  // Where the source has scalar codes, those that are too far by them to be among the k nearest are
  // dropped before; *refined grows by the codes compared.
  absl::Status Rerank(Metric metric, size_t k, MatrixView queries, const VectorSource& vectors,
                      std::span<QueryScan> scans, uint64_t* refined);

  // The k nearest candidates and those that are as far as the last of them, nearest first.
  static void Best(size_t k, QueryScan& scan, std::vector<Neighbor>* result);

 private:
  absl::Status RerankMany(Metric metric, MatrixView query, const VectorSource& vectors, size_t most,
                          QueryScan& scan);
  absl::Status RerankSome(Metric metric, MatrixView queries, const VectorSource& vectors,
                          std::span<QueryScan> scans);

  std::vector<const std::byte*> rows_;
  std::vector<Slot> missing_;
  std::vector<size_t> missing_at_;
  std::unique_ptr<bool[]> found_;
  size_t found_size_ = 0;
  AlignedBuffer<std::byte> read_;
  std::unique_ptr<ExactScorer> scorer_;
  CandidateSieve sieve_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_RERANK_H_
