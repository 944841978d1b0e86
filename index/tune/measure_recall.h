#ifndef TESSERA_INDEX_TUNE_MEASURE_RECALL_H_
#define TESSERA_INDEX_TUNE_MEASURE_RECALL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/ivf/lists_snapshot.h"
#include "index/tune/recall_surface.h"

namespace tessera {

// What recall is measured with.
struct RecallQueries {
  MatrixView vectors;  // one query a row, as a user gave them
  // True neighbours of each query, nearest first: RecallSurface::kNeighbors.back() of them, or all.
  std::span<const std::vector<Slot>> nearest;
  std::span<const Slot> own;  // of each, if it is stored: it is not its own neighbour. Or empty
};

// Searches all lists for each query by their codes, and tells what searches of fewer lists and
// candidates would have found. `points` are in the lists and not `deleted`. At least one query with
// a neighbour. CANCELLED if the observer (may be null) says so.
absl::StatusOr<RecallSurface> MeasureRecall(const ListsSnapshot& lists, const SlotSet& deleted,
                                            uint64_t points, const RecallQueries& queries,
                                            Executor& executor, ProgressObserver* observer);

}  // namespace tessera

#endif  // TESSERA_INDEX_TUNE_MEASURE_RECALL_H_
