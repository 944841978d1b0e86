#include "index/tune/measure_recall.h"

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/check.h"
#include "index/base/status_macros.h"
#include "index/ivf/searcher.h"
#include "index/tune/recall_meter.h"

namespace tessera {
namespace {

// Queries that one thread searches together, and that are reported on at once.
constexpr size_t kQueriesTogether = 8;
constexpr size_t kQueriesOfStep = 64;

// The list of each slot that is in one.
std::vector<uint32_t> ListOfSlots(const ListsSnapshot& lists) {
  std::vector<uint32_t> list_of;
  for (uint32_t l = 0; l < lists.nlist(); ++l) {
    for (const Slot slot : lists.Slots(l)) {
      if (slot >= list_of.size()) list_of.resize(size_t{slot} + 1);
      list_of[slot] = l;
    }
  }
  return list_of;
}

// With how many lists searched a query's search has each list. Asks the coarse step for each number
// as searches do: it may miss some of the nearest.
class ListOrder {
 public:
  ListOrder(const ListsSnapshot& lists, const std::vector<uint32_t>& nprobes)
      : lists_(lists), nprobes_(nprobes), nearest_(lists.nlist()) {}

  // first[l] = the number of the first of the nprobes with which list l is searched.
  void Find(std::span<const float> query, std::vector<uint32_t>* first) {
    prepared_.resize(query.size());
    lists_.codebook().Prepare({query.data(), 1, query.size()}, prepared_.data());
    first->assign(lists_.nlist(), static_cast<uint32_t>(nprobes_.size() - 1));
    for (size_t p = nprobes_.size() - 1; p-- > 0;) {
      uint32_t count = 0;
      lists_.tables().coarse.ToProbe(prepared_.data(), 1, nprobes_[p], scratch_, nearest_.data(),
                                     &count);
      for (uint32_t i = 0; i < count; ++i) {
        (*first)[nearest_[i].slot] = static_cast<uint32_t>(p);
      }
    }
  }

 private:
  const ListsSnapshot& lists_;
  const std::vector<uint32_t>& nprobes_;  // the last is all lists
  CoarseQuantizer::Scratch scratch_;
  std::vector<float> prepared_;
  std::vector<Neighbor> nearest_;
};

class Measurement {
 public:
  Measurement(const ListsSnapshot& lists, const SlotSet& deleted, uint64_t points,
              const RecallQueries& queries)
      : lists_(lists),
        deleted_(deleted),
        queries_(queries),
        list_of_(ListOfSlots(lists)),
        meter_(points, static_cast<uint32_t>(lists.nlist())),
        grid_(meter_.grid()) {}

  // Thread-safe.
  absl::Status Search(size_t begin, size_t end) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::vector<Neighbor>> found(end - begin);
    // One more, in place of a query that is stored.
    const IvfSearchParams params{.k = grid_.reranks.back() + size_t{1}, .nprobe = lists_.nlist()};
    IvfSearchStats stats;
    RETURN_IF_ERROR(SearchIvf(lists_, queries_.vectors.Rows(begin, end - begin), params, deleted_,
                              /*vectors=*/nullptr, found, &stats));
    ListOrder order(lists_, grid_.nprobes);
    std::vector<uint32_t> first_of_lists, first_nprobes;
    std::vector<Slot> slots;
    for (size_t q = begin; q < end; ++q) {
      if (queries_.nearest[q].empty()) continue;
      order.Find(queries_.vectors.row(q), &first_of_lists);
      slots.clear();
      first_nprobes.clear();
      for (const Neighbor& candidate : found[q - begin]) {
        if (!queries_.own.empty() && candidate.slot == queries_.own[q]) continue;
        if (slots.size() == grid_.reranks.back()) break;
        slots.push_back(candidate.slot);
        first_nprobes.push_back(first_of_lists[list_of_[candidate.slot]]);
      }
      absl::MutexLock lock(&mutex_);
      meter_.Add({queries_.nearest[q], slots, first_nprobes});
    }
    return absl::OkStatus();
  }

  RecallSurface Surface() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return meter_.Surface();
  }

 private:
  const ListsSnapshot& lists_;
  const SlotSet& deleted_;
  const RecallQueries& queries_;
  const std::vector<uint32_t> list_of_;
  absl::Mutex mutex_;
  RecallMeter meter_ ABSL_GUARDED_BY(mutex_);
  const RecallSurface::Grid grid_;  // of meter_
};

}  // namespace

absl::StatusOr<RecallSurface> MeasureRecall(const ListsSnapshot& lists, const SlotSet& deleted,
                                            uint64_t points, const RecallQueries& queries,
                                            Executor& executor, ProgressObserver* observer) {
  const size_t rows = queries.vectors.rows;
  TESSERA_CHECK(queries.nearest.size() == rows &&
                (queries.own.empty() || queries.own.size() == rows));
  Measurement measurement(lists, deleted, points, queries);
  for (size_t first = 0; first < rows; first += kQueriesOfStep) {
    if (observer != nullptr && !observer->OnProgress("measuring recall", first, rows)) {
      return absl::CancelledError("cancelled while measuring recall");
    }
    const size_t step = std::min(kQueriesOfStep, rows - first);
    absl::Mutex mutex;
    absl::Status status;
    executor.ParallelFor(step, kQueriesTogether, [&](size_t begin, size_t end) {
      const absl::Status searched = measurement.Search(first + begin, first + end);
      absl::MutexLock lock(&mutex);
      status.Update(searched);
    });
    RETURN_IF_ERROR(status);
  }
  return measurement.Surface();
}

}  // namespace tessera
