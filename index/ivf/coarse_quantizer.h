#ifndef TESSERA_INDEX_IVF_COARSE_QUANTIZER_H_
#define TESSERA_INDEX_IVF_COARSE_QUANTIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "index/base/buffer.h"
#include "index/base/types.h"
#include "index/codebook/codebook.h"
#include "index/ivf/centroid_codes.h"
#include "index/ivf/query_scan.h"
#include "index/simd/exact.h"

namespace tessera {

// Finds the lists whose centroids are nearest to a query. Immutable and thread-safe.
//
// Many centroids are treated as the vectors of one inverted list are: they are product quantized to
// 4-bit codes, scanned with a lookup table, and the best are compared exactly. A list is then
// missed only if its centroid is far worse by its code than by its distance; it would have been one
// of the last to be probed.
class CoarseQuantizer {
 public:
  // Lists that come in order: enough for a threshold to settle on.
  static constexpr size_t kSortedFirst = 12;

  // Memory that searches reuse; one thread at a time.
  struct Scratch {
    CentroidCodes::Scratch codes;
    AlignedBuffer<float> distances;
    AlignedBuffer<Slot> slots;
    AlignedBuffer<float> lengthened;
    std::vector<const std::byte*> rows;
    std::vector<Neighbor> sorted;
    std::optional<ExactScorer> scorer;
  };

  explicit CoarseQuantizer(std::shared_ptr<const Codebook> codebook);

  // lists[i * nprobe, (i + 1) * nprobe) = the nprobe lists nearest to query i; at least the first
  // kSortedFirst of them nearest first.
  // Neighbor::slot is the list and Neighbor::distance its rank: |q - c|^2 or -<q, c>, with the
  // centroid in half precision where that serves, and Weight(q) times its rank term where it has
  // one (Codebook::RankTerms). `queries` has n prepared rows. 1 <= nprobe <= nlist.
  void Nearest(const float* queries, size_t n, size_t nprobe, Scratch& scratch,
               Neighbor* lists) const;

  // The lists that each query is to probe, of nprobe on average: those of query i are the first
  // counts[i] of lists[i * MostToProbe(nprobe)], ..., as Nearest gives them.
  void ToProbe(const float* queries, size_t n, size_t nprobe, Scratch& scratch, Neighbor* lists,
               uint32_t* counts) const;
  size_t MostToProbe(size_t nprobe) const;

  // lists[0, n) = about the n lists nearest to one query, in no order, and how far they are, by
  // their centroids' codes where there are codes: for a third of the time when n is a good part of
  // nlist. 1 <= n <= nlist.
  void AboutNearest(const float* query, size_t n, Scratch& scratch, Neighbor* lists) const;

  // What Codebook::RankTerms() count for in the rank of a list.
  float Weight(const float* query) const { return codebook_->RankWeight(query); }
  // A list's term in distances, |q - c|^2 or -<q, c>, of its rank for a query of that weight.
  float Distance(const Neighbor& ranked, float weight) const {
    return weight == 0 ? ranked.distance : ranked.distance - weight * rank_terms_[ranked.slot];
  }

  // distances[i] = list which[i] and its rank, as Nearest gives them.
  void Distances(const float* query, std::span<const uint32_t> which, Scratch& scratch,
                 Neighbor* distances) const;

  size_t memory_bytes() const;

 private:
  void MakeCodes();
  // The centroids as they are compared exactly.
  VectorsView Stored() const;
  ExactScorer& ScorerOf(const float* query, Scratch& scratch) const;
  // `n` queries at the length that lists are ranked by: themselves, or copies in `scratch`.
  const float* Lengthened(const float* queries, size_t n, Scratch& scratch) const;
  // Makes ranks of distances.
  void AddTerms(float weight, std::span<const Slot> lists, float* distances) const;
  // Takes these, ascending, for the lists that have codes.
  void SetCoded(std::vector<uint32_t> coded);
  // Makes candidates of what was found by codes: those lists that are to be compared, and all
  // without a code. All lists, if fewer than `most` were found: centroids may be farther than a
  // float can tell.
  void CodedToCandidates(const float* query, size_t most, const ProbeRule::Reach* reach,
                         QueryScan* found) const;
  // Finds the `most` lists nearest to each query, or as many of them as are within `reach`.
  void Find(const float* queries, size_t n, size_t most, const ProbeRule::Reach* reach,
            Scratch& scratch, Neighbor* lists, uint32_t* counts) const;
  // Compares the candidates with the query, and keeps the nearest as Find says; returns how many.
  size_t Compare(const float* query, size_t most, const ProbeRule::Reach* reach, Scratch& scratch,
                 QueryScan& scan, Neighbor* lists) const;

  std::shared_ptr<const Codebook> codebook_;
  Metric metric_;                  // L2 or INNER_PRODUCT
  AlignedBuffer<std::byte> half_;  // the centroids as FLOAT16; empty if they do not fit
  std::vector<float> rank_terms_;  // Codebook::RankTerms
  CentroidCodes codes_;            // empty if the centroids are few, or no codes tell them apart
  // Lists whose centroids are outliers have no code, and are always among the candidates. Both are
  // empty if there is none.
  std::vector<uint32_t> coded_;  // the list of each code
  std::vector<uint32_t> uncoded_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_COARSE_QUANTIZER_H_
