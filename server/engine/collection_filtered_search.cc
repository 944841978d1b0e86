// Searches among the points that match a filter.
#include <algorithm>
#include <utility>

#include "index/base/status_macros.h"
#include "index/base/top_k.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/exact.h"
#include "server/engine/collection.h"
#include "server/engine/collection_vectors.h"
#include "server/filter/dense_mask.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

// Up to as many points that match are all compared with the query: that costs no more than to find
// out which of them are near. From disk each costs a read.
constexpr uint64_t kExactPoints = 3'000;
constexpr uint64_t kExactPointsOnDisk = 200;
// Up to as many, it costs less to sort them by list than to scan lists for them once.
constexpr uint64_t kSortPoints = 20'000;
// What is expected in the lists near a query is taken so many times if the filter goes against it:
// then nearness to a list tells little about nearness to its vectors.
constexpr size_t kAgainst = 3;
// Two cache lines: what to find a vector costs beside reading it, in bytes of codes scanned.
constexpr size_t kRowBytes = 64;
// Rows compared with all queries before the next are touched: they stay in the first-level cache.
constexpr size_t kMatchingBlockRows = 128;

// Takes the matching slots of lists that have not been taken, the lists nearest to the query first,
// until there are `wanted`. Returns how many lists it took.
size_t TakeFurther(const ListsSnapshot& lists, std::span<const float> query,
                   const SlotsByList& matches, std::span<const Neighbor> taken, size_t wanted,
                   std::vector<Slot>* slots) {
  std::vector<uint8_t> done(matches.nlist(), 0);
  for (const Neighbor& list : taken) done[list.slot] = 1;
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

}  // namespace

absl::Status Collection::SearchFiltered(const SearchRequest& request, const CollectionView& view,
                                        MatrixView queries, size_t k, const FilterMatches& matches,
                                        std::span<std::vector<Neighbor>> results,
                                        SearchReport* report) const {
  const bool repeated = matches.searches.fetch_add(1, std::memory_order_relaxed) > 0;
  const uint64_t exact_max = vectors_in_memory() ? kExactPoints : kExactPointsOnDisk;
  if (request.exact || view.codebook == nullptr || matches.count <= exact_max) {
    report->plan = SearchPlan::kExactMatching;
    report->exhausted = true;
    report->candidates_reranked = queries.rows * matches.count;
    return SearchMatching(queries, k, SlotsOf(matches.slots), results);
  }
  IvfSearchParams params = SearchParams(request, view, k);
  params.allowed_count = matches.count;
  params.widen = request.nprobe == 0;
  const bool gather = vectors_in_memory() && params.widen && GatheringReadsLess(view, matches);
  if (gather && (repeated || matches.count <= kSortPoints)) {
    if (const auto by_list = MatchesByList(view, matches)) {
      report->exhausted = true;
      for (size_t q = 0; q < queries.rows; ++q) {
        RETURN_IF_ERROR(
            SearchMatchingOfLists(view, queries.Rows(q, 1), params, *by_list, &results[q], report));
      }
      return absl::OkStatus();
    }
  }
  params.stop_against = gather;
  return SearchMasked(view, queries, params, matches, results, report);
}

// Whether to read the vectors of all that match takes fewer bytes than to scan all codes.
bool Collection::GatheringReadsLess(const CollectionView& view,
                                    const FilterMatches& matches) const {
  const size_t code_bytes = view.lists->tables().shape.block_bytes() / kLutScanBlockVectors;
  return matches.count * (vector_bytes() + kRowBytes) <= view.lists->size() * code_bytes;
}

// Scans lists under the mask of what matches. A query that the search gives up on is compared with
// all that match.
absl::Status Collection::SearchMasked(const CollectionView& view, MatrixView queries,
                                      IvfSearchParams params, const FilterMatches& matches,
                                      std::span<std::vector<Neighbor>> results,
                                      SearchReport* report) const {
  const auto mask = matches.mask.Get([&] {
    return std::make_shared<const SlotMask>(MakeDenseMask(matches.slots, view.slot_end));
  });
  params.allowed = mask.get();
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
    if (matching.empty()) matching = SlotsOf(matches.slots);
    RETURN_IF_ERROR(SearchMatching(some, params.k, matching, found));
  }
  ReportLists(view, stats, queries.rows, report);
  report->plan = against == queries.rows ? SearchPlan::kExactMatching : SearchPlan::kMaskedLists;
  report->candidates_reranked += against * matches.count;
  report->exhausted = stats.queries_exhausted + against == queries.rows;
  return absl::OkStatus();
}

// Null if a codebook has been installed or lists have been split since the view was taken: slots
// have the lists of the newest.
std::shared_ptr<const SlotsByList> Collection::MatchesByList(const CollectionView& view,
                                                             const FilterMatches& matches) const {
  return matches.by_list.Get([&]() -> std::shared_ptr<const SlotsByList> {
    auto by_list = SlotsByList::Make(SlotsOf(matches.slots), table_, view.codebook->nlist());
    if (lists_codebook_.load(std::memory_order_acquire) != view.codebook.get()) {
      return nullptr;
    }
    return by_list;
  });
}

// Compares the query with the vectors that match and lie in the lists near it.
absl::Status Collection::SearchMatchingOfLists(const CollectionView& view, MatrixView query,
                                               const IvfSearchParams& params,
                                               const SlotsByList& matches,
                                               std::vector<Neighbor>* result,
                                               SearchReport* report) const {
  const SearchWidth width = MaskedSearchWidth(params, view.codebook->nlist(), view.lists->size());
  std::vector<Neighbor> lists;
  NearestLists(*view.lists, query.row(0), width.lists, &lists);
  std::vector<Slot> slots;
  size_t taken = 0;
  const auto take_up_to = [&](size_t end) {
    const auto at = [&](size_t i) { return lists.begin() + static_cast<std::ptrdiff_t>(i); };
    if (end < lists.size()) std::nth_element(at(taken), at(end), lists.end());
    for (; taken < end; ++taken) {
      const std::span<const Slot> some = matches.of(lists[taken].slot);
      slots.insert(slots.end(), some.begin(), some.end());
    }
  };
  take_up_to(std::min(width.nprobe, lists.size()));
  size_t seen = 0;
  for (size_t i = 0; i < taken; ++i) seen += view.lists->list(lists[i].slot).size;
  take_up_to(std::max(taken, width.ListsAfter(slots.size(), seen)));
  report->lists_scanned += taken;
  const size_t wanted = width.Wanted(slots.size(), kAgainst);
  if (slots.size() < wanted) {
    report->lists_scanned += TakeFurther(*view.lists, query.row(0), matches,
                                         std::span(lists).first(taken), wanted, &slots);
  }
  const bool all = slots.size() == matches.slots().size();
  report->plan = SearchPlan::kMaskedLists;
  report->exhausted = report->exhausted && all;
  report->candidates_reranked += slots.size();
  return SearchMatching(query, params.k, slots, {result, 1});
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
