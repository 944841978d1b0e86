#ifndef TESSERA_INDEX_IVF_RANGE_SCAN_H_
#define TESSERA_INDEX_IVF_RANGE_SCAN_H_

#include <functional>
#include <span>

#include "absl/status/status.h"
#include "index/base/slot_set.h"
#include "index/ivf/code_bounds.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/searcher.h"

namespace tessera {

struct RangeCandidate {
  Slot slot;
  DistanceBounds bounds;
};

// Called with the candidates of one list at a time. *farthest may be lowered: what is farther is
// not wanted any more. A Status that is not OK ends the scan.
using RangeVisitor =
    std::function<absl::Status(std::span<const RangeCandidate> candidates, float* farthest)>;

// Visits every vector in the lists whose exact distance (that of ExactScorer) from the query may be
// at most `farthest`, as far as its code tells; of those that it does not visit it is certain that
// they are farther. Lists come nearest first, and are passed over where the triangle inequality
// says that all in them is farther. Slots in `deleted` are left out.
//
// Thread-safe: runs in the calling thread.
absl::Status ScanRange(const ListsSnapshot& lists, const CodeBounds& bounds, float farthest,
                       const SlotSet& deleted, const RangeVisitor& visitor, IvfSearchStats* stats);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_RANGE_SCAN_H_
