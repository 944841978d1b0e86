// Searches among the points that match a filter.
#include <algorithm>
#include <limits>
#include <utility>

#include "index/base/status_macros.h"
#include "index/base/top_k.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/exact.h"
#include "server/engine/collection.h"
#include "server/engine/collection_vectors.h"

namespace tessera {
namespace {

// Up to as many points that match are all compared with the query: that costs no more than to find
// out which of them are near. From disk each costs a read.
constexpr uint64_t kExactPoints = 3'000;
constexpr uint64_t kExactPointsOnDisk = 200;
// Up to as many, it costs less to sort them by list than to scan lists for them once.
constexpr uint64_t kSortPoints = 20'000;
// Two cache lines: what to find a vector costs beside reading it, in bytes of codes scanned.
constexpr size_t kRowBytes = 64;
// Rows compared with all queries before the next are touched: they stay in the first-level cache.
constexpr size_t kMatchingBlockRows = 128;

// Takes the matching slots of lists that are not `done`, the lists nearest to the query first,
// until there are `wanted`. Returns how many lists it took.
size_t TakeFurther(const ListsSnapshot& lists, std::span<const float> query,
                   const SlotsByList& matches, const std::vector<uint8_t>& done, size_t wanted,
                   std::vector<Slot>* slots) {
  std::vector<uint32_t> left;
  for (uint32_t list : matches.lists()) {
    if (done[list] == 0) left.push_back(list);
  }
  std::vector<Neighbor> heap(left.size());
  ListDistances(lists, query, left, heap.data());
  const auto farther = [](const Neighbor& a, const Neighbor& b) { return b < a; };
  std::make_heap(heap.begin(), heap.end(), farther);
  size_t count = 0;
  while (slots->size() < wanted && !heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), farther);
    const std::span<const Slot> some = matches.of(heap.back().slot);
    slots->insert(slots->end(), some.begin(), some.end());
    heap.pop_back();
    ++count;
  }
  return count;
}

// The slots of lists that are taken nearest first.
class NearestTaker {
 public:
  NearestTaker(size_t nlist, std::vector<Slot>* slots) : slots_(slots), done_(nlist, 0) {}

  // Takes the nearest of `lists`, so that `begin` to `end` of them are taken, but none once there
  // are `wanted` slots. Those before `begin` have been taken. Returns where it stopped.
  template <class Of>
  size_t Take(std::vector<Neighbor>& lists, size_t begin, size_t end, size_t wanted, const Of& of) {
    const auto at = [&](size_t i) { return lists.begin() + static_cast<std::ptrdiff_t>(i); };
    if (end < lists.size()) std::nth_element(at(begin), at(end), lists.end());
    for (; begin < end && slots_->size() < wanted; ++begin) {
      const uint32_t list = lists[begin].slot;
      // A slot or two: less than what a call to copy them would cost.
      for (Slot slot : of(list)) slots_->push_back(slot);
      done_[list] = 1;
      ++taken_;
    }
    return begin;
  }
  size_t taken() const { return taken_; }
  const std::vector<uint8_t>& done() const { return done_; }

 private:
  std::vector<Slot>* const slots_;
  std::vector<uint8_t> done_;  // of each list, whether it has been taken
  size_t taken_ = 0;
};

}  // namespace

absl::Status Collection::SearchFiltered(const SearchRequest& request, const CollectionView& view,
                                        MatrixView queries, size_t k, const FilterMatches& matches,
                                        std::span<std::vector<Neighbor>> results,
                                        SearchReport* report) const {
  const bool repeated = matches.searches.fetch_add(1, std::memory_order_relaxed) > 0;
  const uint64_t exact_max = vectors_in_memory() ? kExactPoints : kExactPointsOnDisk;
  if (request.exact || view.codebook == nullptr || matches.count() <= exact_max) {
    report->plan = SearchPlan::kExactMatching;
    report->exhausted = true;
    report->candidates_reranked = queries.rows * matches.count();
    return SearchMatching(queries, k, matches.List(), results);
  }
  IvfSearchParams params = SearchParams(request, view, k);
  params.allowed_count = matches.count();
  params.widen = request.nprobe == 0;
  const bool gather = vectors_in_memory() && params.widen && GatheringReadsLess(view, matches);
  if (gather && (repeated || matches.count() <= kSortPoints)) {
    // Until it has been sorted by list, for the searches that ask again.
    if (matches.codes != nullptr && !repeated && queries.rows == 1) {
      return SearchCoded(view, queries, params, matches, results, report);
    }
    const bool sort = repeated || queries.rows > 1;
    ASSIGN_OR_RETURN(const bool done,
                     SearchGathered(view, queries, params, matches, sort, results, report));
    if (done) return absl::OkStatus();
  }
  params.stop_against = gather;
  return SearchMasked(view, queries, params, matches, repeated, results, report);
}

// Whether to read the vectors of all that match takes fewer bytes than to scan all codes.
bool Collection::GatheringReadsLess(const CollectionView& view,
                                    const FilterMatches& matches) const {
  const size_t code_bytes = view.lists->tables().shape.block_bytes() / kLutScanBlockVectors;
  return matches.count() * (vector_bytes() + kRowBytes) <= view.lists->size() * code_bytes;
}

// Scans lists under the mask of what matches. A query that the search gives up on is compared with
// all that match.
absl::Status Collection::SearchMasked(const CollectionView& view, MatrixView queries,
                                      IvfSearchParams params, const FilterMatches& matches,
                                      bool keep, std::span<std::vector<Neighbor>> results,
                                      SearchReport* report) const {
  static thread_local SlotMask once(0);
  std::shared_ptr<const SlotMask> kept;
  if (matches.codes != nullptr) {
    params.filter = matches.codes.get();
  } else if (keep) {
    kept = matches.mask.Get([&] {
      auto mask = std::make_shared<SlotMask>(view.slot_end);
      matches.InsertInto(mask.get());
      return mask;
    });
  } else {
    once.Reset(view.slot_end);
    matches.InsertInto(&once);
  }
  if (params.filter == nullptr) params.allowed = keep ? kept.get() : &once;
  CollectionVectors vectors(*this);
  IvfSearchStats stats;
  // One by one, so that it is known on which it gave up.
  const size_t at_once = params.stop_against ? 1 : queries.rows;
  size_t against = 0;
  std::vector<Slot> matching;  // once there is a query to compare with them
  for (size_t q = 0; q < queries.rows; q += at_once) {
    const MatrixView some = queries.Rows(q, at_once);
    const auto found = results.subspan(q, at_once);
    RETURN_IF_ERROR(SearchIvf(*view.lists, some, params, *view.dead, &vectors, found, &stats));
    if (stats.queries_against == against) continue;
    against = stats.queries_against;
    if (matching.empty()) matching = matches.List();
    RETURN_IF_ERROR(SearchMatching(some, params.k, matching, found));
  }
  ReportLists(view, stats, queries.rows, report);
  report->plan = against == queries.rows ? SearchPlan::kExactMatching : SearchPlan::kMaskedLists;
  report->candidates_reranked += against * matches.count();
  report->exhausted = stats.queries_exhausted + against == queries.rows;
  return absl::OkStatus();
}

// Whether slots still have the lists of the view: no codebook has been installed and no lists have
// been split since it was taken. To be asked after their lists have been read.
bool Collection::HasListsOf(const CollectionView& view) const {
  return lists_codebook_.load(std::memory_order_acquire) == view.codebook.get();
}

// Null if slots have other lists than those of the view.
std::shared_ptr<const SlotsByList> Collection::MatchesByList(const CollectionView& view,
                                                             const FilterMatches& matches) const {
  return matches.by_list.Get([&]() -> std::shared_ptr<const SlotsByList> {
    auto by_list = SlotsByList::Make(matches.List(), table_, view.codebook->nlist());
    return HasListsOf(view) ? by_list : nullptr;
  });
}

// Compares each query with the vectors that match and lie in the lists near it. False, and no
// results, if slots have other lists than those of the view.
absl::StatusOr<bool> Collection::SearchGathered(const CollectionView& view, MatrixView queries,
                                                const IvfSearchParams& params,
                                                const FilterMatches& matches, bool sort,
                                                std::span<std::vector<Neighbor>> results,
                                                SearchReport* report) const {
  std::shared_ptr<const SlotsByList> by_list;
  if (sort) {
    by_list = MatchesByList(view, matches);
    if (by_list == nullptr) return false;
  }
  SearchReport gathered = *report;
  gathered.plan = SearchPlan::kMaskedLists;
  gathered.exhausted = true;
  for (size_t q = 0; q < queries.rows; ++q) {
    std::vector<Slot> slots;
    ASSIGN_OR_RETURN(const bool done,
                     GatherNear(view, queries.row(q), params, matches, by_list, &slots, &gathered));
    if (!done) return false;
    gathered.exhausted = gathered.exhausted && slots.size() == matches.count();
    gathered.candidates_reranked += slots.size();
    RETURN_IF_ERROR(SearchMatching(queries.Rows(q, 1), params.k, slots, results.subspan(q, 1)));
  }
  *report = gathered;
  return true;
}

// The slots that match and lie in the lists near the query. `by_list` may be null.
absl::StatusOr<bool> Collection::GatherNear(const CollectionView& view,
                                            std::span<const float> query,
                                            const IvfSearchParams& params,
                                            const FilterMatches& matches,
                                            std::shared_ptr<const SlotsByList> by_list,
                                            std::vector<Slot>* slots, SearchReport* report) const {
  const size_t nlist = view.codebook->nlist();
  const SearchWidth width = MaskedSearchWidth(params, nlist, view.lists->size());
  static thread_local SlotsOfLists near;
  static thread_local std::vector<Slot> all;
  if (by_list == nullptr) matches.List(&all);
  // Whether the slots of the lists are at hand.
  const auto have = [&](std::span<const Neighbor> lists) {
    return by_list != nullptr || (near.Fill(all, table_, nlist, lists) && HasListsOf(view));
  };
  const auto of = [&](uint32_t list) {
    return by_list != nullptr ? by_list->of(list) : near.of(list);
  };
  constexpr size_t kAll = std::numeric_limits<size_t>::max();
  NearestTaker taker(nlist, slots);
  std::vector<Neighbor> lists;
  NearestLists(*view.lists, query, std::min(nlist, width.WithMissed(width.lists)), &lists);
  if (!have(lists)) return false;
  const size_t nprobe = taker.Take(lists, 0, std::min(width.nprobe, lists.size()), kAll, of);
  size_t seen = 0;
  for (size_t i = 0; i < nprobe; ++i) seen += view.lists->list(lists[i].slot).size;
  const size_t end = width.WithMissed(width.ListsAfter(slots->size(), seen));
  taker.Take(lists, nprobe, std::clamp(end, nprobe, lists.size()), kAll, of);
  const size_t wanted = width.Wanted(slots->size());
  if (slots->size() < wanted && width.lists < nlist) {
    NearestLists(*view.lists, query, std::min(nlist, width.kFurtherLists * width.lists), &lists);
    std::erase_if(lists, [&](const Neighbor& list) { return taker.done()[list.slot] != 0; });
    if (!have(lists)) return false;
    for (size_t begin = 0; begin < lists.size() && slots->size() < wanted;) {
      begin = taker.Take(lists, begin, std::min(lists.size(), begin + width.lists), wanted, of);
    }
  }
  report->lists_scanned += taker.taken();
  if (slots->size() >= wanted) return true;
  if (by_list == nullptr) by_list = MatchesByList(view, matches);
  if (by_list == nullptr) return false;
  report->lists_scanned += TakeFurther(*view.lists, query, *by_list, taker.done(), wanted, slots);
  return true;
}

// Compares the queries with the vectors of `slots`, which have points in a view that is held.
absl::Status Collection::SearchMatching(MatrixView queries, size_t k, std::span<const Slot> slots,
                                        std::span<std::vector<Neighbor>> results) const {
  std::vector<ExactScorer> scorers;
  std::vector<TopK> best;
  for (size_t q = 0; q < queries.rows; ++q) {
    scorers.emplace_back(spec_.metric, spec_.element_type, queries.row(q));
    best.emplace_back(k, ById());
  }
  RETURN_IF_ERROR(CompareSlots(scorers, slots,
                               [&](size_t q, std::span<const Slot> block, const float* distances) {
                                 best[q].Push(distances, block.data(), block.size());
                               }));
  for (size_t q = 0; q < queries.rows; ++q) results[q] = best[q].Take();
  return absl::OkStatus();
}

absl::Status Collection::CompareSlots(std::span<const ExactScorer> scorers,
                                      std::span<const Slot> slots,
                                      const DistanceVisitor& visit) const {
  std::vector<const std::byte*> rows(kMatchingBlockRows);
  std::vector<float> distances(kMatchingBlockRows);
  std::vector<std::byte> read(vectors_in_memory() ? 0 : kMatchingBlockRows * vector_bytes());
  Slot block[kMatchingBlockRows];
  bool found[kMatchingBlockRows];
  for (; !slots.empty(); slots = slots.subspan(std::min(kMatchingBlockRows, slots.size()))) {
    const auto some = slots.first(std::min(kMatchingBlockRows, slots.size()));
    std::fill_n(found, some.size(), true);
    if (!vectors_in_memory()) RETURN_IF_ERROR(ReadRows(some, read.data(), found));
    size_t count = 0;
    for (size_t i = 0; i < some.size(); ++i) {
      if (!found[i]) continue;
      rows[count] = vectors_in_memory() ? table_.vector(some[i]) : &read[i * vector_bytes()];
      block[count++] = some[i];
    }
    for (size_t q = 0; q < scorers.size(); ++q) {
      scorers[q].Score(rows.data(), count, distances.data());
      visit(q, {block, count}, distances.data());
    }
  }
  return absl::OkStatus();
}

}  // namespace tessera
