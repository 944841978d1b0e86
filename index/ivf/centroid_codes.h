#ifndef TESSERA_INDEX_IVF_CENTROID_CODES_H_
#define TESSERA_INDEX_IVF_CENTROID_CODES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/buffer.h"
#include "index/base/matrix.h"
#include "index/base/types.h"
#include "index/ivf/query_scan.h"
#include "index/simd/lut_scan.h"
#include "index/simd/lut_scan_tables.h"

namespace tessera {

struct RowGroups;

// The centroids of many lists as product quantized 4-bit codes, to be scanned as the vectors of an
// inverted list are. Very many lie in groups, of which a query scans only the nearest where they
// hold nearly all of what it wants. Immutable and thread-safe.
class CentroidCodes {
 public:
  // Queries that share the reading of codes.
  static constexpr size_t kQueriesAtOnce = 4;

  // Memory that searches reuse; one thread at a time.
  struct Scratch {
    AlignedBuffer<uint8_t> tables;
    AlignedBuffer<float> entries;
    AlignedBuffer<float> padded;
    AlignedBuffer<float> head_distances;
    AlignedBuffer<Slot> heads;
  };

  // Fewer centroids are scanned whole, which costs less than to choose among groups of them.
  static constexpr size_t kGroupedFrom = 6'000;

  CentroidCodes() = default;  // of no centroid
  // `metric` is L2 or INNER_PRODUCT; a subquantizer has at most so many `components`. `addends` are
  // none, or with INNER_PRODUCT what is added to the distance -<q, c> of each centroid; queries
  // have length 1 then. The centroids are not needed afterwards.
  CentroidCodes(MatrixView centroids, Metric metric, size_t components,
                std::span<const float> addends = {}, size_t grouped_from = kGroupedFrom);

  bool empty() const { return blocks_.size() == 0; }

  // Leaves about the nearest centroids of each of n <= kQueriesAtOnce queries in scans[i]: `wanted`
  // of them, and those that have not been thinned out yet (QueryScan::Finish). Their arrays have
  // room for QueryScan::Capacity(wanted). By L2, distances are |q - c|^2, about; else -<q, c>, and
  // the addend. 1 <= wanted <= centroids.
  void Scan(const float* queries, size_t n, size_t wanted, Scratch& scratch,
            QueryScan* scans) const;

  size_t memory_bytes() const;

 private:
  // Builds each query's table, and has its scan begin anew.
  void Prepare(const float* queries, size_t n, size_t wanted, Scratch& scratch,
               QueryScan* scans) const;
  // Fills blocks with the codes of some centroids, as `blocks_` has them.
  void CopyTo(std::span<const uint32_t> ids, uint8_t* blocks) const;
  // Scans `count` blocks for each query; returns how many candidates that gave.
  size_t ScanBlocks(const uint8_t* blocks, size_t count, QueryScan* scans, size_t n) const;
  // Gives each query a threshold that somewhat more centroids pass than are wanted, most likely.
  void SettleOnSample(QueryScan* scans, size_t n) const;
  // Scans all blocks for each query.
  void ScanAll(QueryScan* scans, size_t n) const;
  void MeasureGroups(MatrixView queries, const RowGroups& groups);
  // How many groups hold nearly all of so many nearest centroids; 0: too many to choose them.
  size_t GroupsFor(size_t wanted) const;
  // Scans the `needed` nearest groups, and others if the last of them held much.
  void ScanGroups(size_t needed, Scratch& scratch, QueryScan* scan) const;
  void GrowHeads(Scratch& scratch) const;
  // The distances of all groups from the query, in `scratch`.
  LutScanQuery ScanHeads(const LutScanQuery& query, Scratch& scratch) const;
  // About the `wanted` groups nearest to the query, without those up to the distance *nearer,
  // which becomes the distance of the farthest; infinity if no group is left.
  std::span<const Slot> NextGroups(const LutScanQuery& query, size_t wanted, float* nearer,
                                   Scratch& scratch) const;
  void FetchGroup(size_t group) const;

  Metric metric_ = Metric::kL2;
  size_t dim_ = 0;
  std::vector<float> mean_;  // of the centroids; codes are of what differs from it
  LutScanTables lut_;
  AlignedBuffer<uint8_t> blocks_;
  AlignedBuffer<uint8_t> sample_blocks_;  // many: some of them once more
  // Very many: once more by groups, which begin with blocks of their own: group g is in the blocks
  // [group_begins_[g], group_begins_[g + 1]).
  AlignedBuffer<uint8_t> group_blocks_;
  std::vector<uint32_t> group_begins_;
  AlignedBuffer<uint8_t> head_blocks_;
  std::vector<uint32_t> groups_needed_;  // for kWantedLeast centroids, twice as many, and so on
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_CENTROID_CODES_H_
