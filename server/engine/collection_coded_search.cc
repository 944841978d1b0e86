// Filtered searches that compare what matches in the lists near a query, told by codes beside the
// lists' entries.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "index/base/prefetch.h"
#include "index/base/status_macros.h"
#include "index/ivf/entry_gatherer.h"
#include "index/ivf/lists_snapshot.h"
#include "server/engine/collection_reader.h"
#include "server/engine/near_slots.h"

namespace tessera {
namespace {

// Lists looked at before it is asked whether they hold enough.
constexpr size_t kListsAtOnce = 32;

// The source of NearSlots that looks at the codes of all entries.
class CodedSlots {
 public:
  CodedSlots(const CollectionView& view, const EntryFilter& filter, const SlotTable* in_memory)
      : view_(view), filter_(filter), in_memory_(in_memory) {}

  static bool Prepare(std::span<const Neighbor>) { return true; }
  const std::vector<uint32_t>* PrepareAll() {
    all_.resize(view_.lists->nlist());
    std::iota(all_.begin(), all_.end(), uint32_t{0});
    return &all_;
  }
  size_t Take(std::span<const Neighbor> lists, size_t wanted, std::vector<Slot>* slots) {
    static thread_local EntryGatherer gatherer;
    // Beside the work on the next lists that costs next to nothing.
    const auto fetch_vectors = [this](std::span<const Slot> found) {
      if (in_memory_ == nullptr) return;
      for (const Slot slot : found) PrefetchFar(in_memory_->row(slot));
    };
    const size_t step = wanted == kAllLists ? lists.size() : kListsAtOnce;
    size_t taken = 0;
    while (taken < lists.size() && slots->size() < wanted) {
      const auto some = lists.subspan(taken, std::min(step, lists.size() - taken));
      gatherer.Gather(*view_.lists, some, filter_, *view_.dead, slots, fetch_vectors);
      taken += some.size();
    }
    return taken;
  }

 private:
  const CollectionView& view_;
  const EntryFilter& filter_;
  const SlotTable* const in_memory_;  // null if it has no rows
  std::vector<uint32_t> all_;
};

}  // namespace

// Compares each query with the vectors that match and lie in the lists near it.
absl::Status CollectionReader::SearchCoded(const CollectionView& view, MatrixView queries,
                                           const IvfSearchParams& params,
                                           const FilterMatches& matches,
                                           std::span<std::vector<Neighbor>> results,
                                           SearchReport* report) const {
  static thread_local std::vector<Slot> slots;
  report->plan = SearchPlan::kMaskedLists;
  report->exhausted = true;
  CodedSlots source(view, *matches.codes, table_.row_bytes() > 0 ? &table_ : nullptr);
  for (size_t q = 0; q < queries.rows; ++q) {
    slots.clear();
    report->lists_scanned +=
        *NearSlots(*view.lists, params, &source, &slots).Collect(queries.row(q));
    report->exhausted = report->exhausted && slots.size() == matches.count_max();
    Compared compared;
    RETURN_IF_ERROR(SearchMatching(search_executor_, queries.Rows(q, 1), params.k, slots,
                                   results.subspan(q, 1), &compared));
    Report(compared, report);
  }
  return absl::OkStatus();
}

}  // namespace tessera
