#ifndef TESSERA_INDEX_IVF_QUERY_SCAN_H_
#define TESSERA_INDEX_IVF_QUERY_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "index/base/slot_set.h"
#include "index/simd/bound_guess.h"
#include "index/simd/lut_scan.h"

namespace tessera {

struct InvertedList;
class ListsSnapshot;

// The scan's kernel shares blocks among so many queries.
inline constexpr size_t kScanQueriesAtOnce = 4;
// Blocks scanned before candidates are thinned out: QueryScan has room for as many.
inline constexpr size_t kScanBlocksAtOnce = 16;

// One query's candidates while lists are scanned: the best so far by their codes, thinned out
// whenever there are about twice as many as wanted. Does not own its arrays.
struct QueryScan {
  // Candidates that are thinned out at once: more make a cut cheaper per candidate, fewer make the
  // threshold follow sooner.
  static size_t CutAt(size_t keep) { return 2 * keep + 64; }
  // Room that the arrays of one query need.
  static size_t Capacity(size_t keep);

  LutScanQuery scan;
  float constant = 0;     // what the query adds to every distance
  float list_weight = 0;  // CoarseQuantizer::Weight of the query
  size_t keep = 0;        // candidates wanted
  BoundHint hint;         // of the scan's threshold

  // Makes it a scan of no candidate so far.
  void Begin();
  // Drops deleted candidates from index `begin` on, then thins out if there are many.
  void Settle(size_t begin, const SlotSet& deleted);
  // Thins out if there are many candidates.
  void CutIfFull() {
    if (scan.count >= CutAt(keep)) Cut(keep, keep + keep / 8);
  }
  // Whether candidates were thinned out: else they are all that was met.
  bool thinned_out() const { return hint.high < std::numeric_limits<float>::infinity(); }
  // Leaves at most `keep` candidates.
  void Finish() { Cut(keep, keep); }
  // Leaves from `least` to `most` candidates, the nearest, if there are more.
  void Cut(size_t least, size_t most);
};

// Fetching lists ahead of the scan of them, in three steps of which each needs what the one before
// brought: the list's descriptor, the translations of the addresses of its pages, the blocks. Lists
// are too short for the processor's own prefetching to come up to speed.
void PrefetchDescriptor(const ListsSnapshot& lists, size_t list);
void PrefetchPages(const LutScanShape& shape, const InvertedList& list);
void PrefetchBlocks(const LutScanShape& shape, const InvertedList& list);

// Scans one list for `n` queries, which share the reading of its blocks. queries[i]->scan.offset
// must hold the constant plus the query's distance from the list's centroid. Meanwhile fetches the
// blocks of the list that is scanned `next`, if that is not null.
void ScanList(const LutScanShape& shape, const InvertedList& list, const InvertedList* next,
              QueryScan* const* queries, size_t n, const SlotSet& deleted);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_QUERY_SCAN_H_
