// Filtered searches that compare what matches in the lists near a query, told by codes beside the
// lists' entries.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "index/base/status_macros.h"
#include "index/ivf/entry_lanes.h"
#include "index/ivf/lists_snapshot.h"
#include "server/engine/collection.h"

namespace tessera {
namespace {

// Lists looked at before it is asked whether they hold enough.
constexpr size_t kListsAtOnce = 32;
constexpr size_t kAll = std::numeric_limits<size_t>::max();

// Takes the slots that match in lists, nearest first.
class CodedTaker {
 public:
  CodedTaker(const CollectionView& view, const EntryFilter& filter, std::vector<Slot>* slots)
      : view_(view), filter_(filter), slots_(slots) {}

  // Takes the nearest of `lists`, so that `begin` to `end` of them are taken, but about none once
  // there are `wanted` slots. Returns where it stopped.
  size_t Take(std::vector<Neighbor>& lists, size_t begin, size_t end, size_t wanted) {
    const auto at = [&](size_t i) { return lists.begin() + static_cast<std::ptrdiff_t>(i); };
    if (end < lists.size()) std::nth_element(at(begin), at(end), lists.end());
    const size_t step = wanted == kAll ? end - begin : kListsAtOnce;
    while (begin < end && slots_->size() < wanted) {
      const size_t next = std::min(end, begin + step);
      gatherer().Gather(*view_.lists, {lists.data() + begin, next - begin}, filter_, *view_.dead,
                        slots_);
      taken_ += next - begin;
      begin = next;
    }
    return begin;
  }
  size_t taken() const { return taken_; }

 private:
  static EntryGatherer& gatherer() {
    static thread_local EntryGatherer gatherer;
    return gatherer;
  }

  const CollectionView& view_;
  const EntryFilter& filter_;
  std::vector<Slot>* const slots_;
  size_t taken_ = 0;
};

// The slots that match in the lists near the query. Returns how many lists were looked at.
size_t GatherCoded(const CollectionView& view, std::span<const float> query,
                   const IvfSearchParams& params, const EntryFilter& filter,
                   std::vector<Slot>* slots) {
  const size_t nlist = view.codebook->nlist();
  const SearchWidth width = MaskedSearchWidth(params, nlist, view.lists->size());
  static thread_local std::vector<Neighbor> lists;
  CodedTaker taker(view, filter, slots);
  NearestLists(*view.lists, query, std::min(nlist, width.WithMissed(width.lists)), &lists);
  const size_t nprobe = std::min(width.nprobe, lists.size());
  taker.Take(lists, 0, nprobe, kAll);
  size_t seen = 0;
  for (size_t i = 0; i < nprobe; ++i) seen += view.lists->list(lists[i].slot).size;
  const size_t end =
      std::clamp(width.WithMissed(width.ListsAfter(slots->size(), seen)), nprobe, lists.size());
  taker.Take(lists, nprobe, end, kAll);
  const size_t wanted = width.Wanted(slots->size());
  if (slots->size() >= wanted) return taker.taken();
  // Some more lists, and then all others, as far as it takes.
  std::vector<bool> done(nlist, false);
  for (size_t i = 0; i < end; ++i) done[lists[i].slot] = true;
  if (width.lists < nlist) {
    NearestLists(*view.lists, query, std::min(nlist, width.kFurtherLists * width.lists), &lists);
    std::erase_if(lists, [&](const Neighbor& list) { return done[list.slot]; });
    for (size_t begin = 0; begin < lists.size() && slots->size() < wanted;) {
      const size_t next =
          taker.Take(lists, begin, std::min(lists.size(), begin + width.lists), wanted);
      for (; begin < next; ++begin) done[lists[begin].slot] = true;
    }
    if (slots->size() >= wanted) return taker.taken();
  }
  std::vector<uint32_t> left;
  for (uint32_t list = 0; list < nlist; ++list) {
    if (!done[list]) left.push_back(list);
  }
  lists.resize(left.size());
  ListDistances(*view.lists, query, left, lists.data());
  for (size_t begin = 0; begin < lists.size() && slots->size() < wanted;) {
    begin = taker.Take(lists, begin, std::min(lists.size(), begin + width.lists), wanted);
  }
  return taker.taken();
}

}  // namespace

// Compares each query with the vectors that match and lie in the lists near it.
absl::Status Collection::SearchCoded(const CollectionView& view, MatrixView queries,
                                     const IvfSearchParams& params, const FilterMatches& matches,
                                     std::span<std::vector<Neighbor>> results,
                                     SearchReport* report) const {
  static thread_local std::vector<Slot> slots;
  report->plan = SearchPlan::kMaskedLists;
  report->exhausted = true;
  for (size_t q = 0; q < queries.rows; ++q) {
    slots.clear();
    report->lists_scanned += GatherCoded(view, queries.row(q), params, *matches.codes, &slots);
    report->exhausted = report->exhausted && slots.size() == matches.count();
    report->candidates_reranked += slots.size();
    RETURN_IF_ERROR(SearchMatching(queries.Rows(q, 1), params.k, slots, results.subspan(q, 1)));
  }
  return absl::OkStatus();
}

}  // namespace tessera
