// Searches among the points that match a filter.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "index/base/status_macros.h"
#include "index/ivf/lists_snapshot.h"
#include "server/engine/collection_reader.h"
#include "server/engine/collection_vectors.h"
#include "server/engine/near_slots.h"
#include "server/engine/search_parts.h"

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

// The source of NearSlots that has all that match, sorted by list; or, if they have not been
// sorted, sorts out those of the lists that it is asked for.
class ListedSlots {
 public:
  using HaveLists = absl::FunctionRef<bool()>;

  // `by_list` may be null. `have_lists` says whether the slots of `table` still have the lists of
  // the search.
  ListedSlots(std::shared_ptr<const SlotsByList> by_list, const FilterMatches& matches,
              const SlotTable& table, size_t nlist, HaveLists have_lists)
      : by_list_(std::move(by_list)), nlist_(nlist) {
    if (by_list_ != nullptr) return;
    matches.List(&all());
    // Once: a slot that goes to another list meanwhile would come twice, or not at all.
    has_lists_ = near().SetSlots(all(), table, nlist_) && have_lists();
  }

  bool Prepare(std::span<const Neighbor> lists) {
    if (by_list_ != nullptr) return true;
    if (has_lists_) near().Fill(all(), lists);
    return has_lists_;
  }
  const std::vector<uint32_t>* PrepareAll() {
    if (by_list_ == nullptr && has_lists_) {
      by_list_ = SlotsByList::Make(all(), near().list_of(), nlist_);
    }
    return by_list_ == nullptr ? nullptr : &by_list_->lists();
  }
  size_t Take(std::span<const Neighbor> lists, size_t wanted, std::vector<Slot>* slots) {
    size_t taken = 0;
    for (; taken < lists.size() && slots->size() < wanted; ++taken) {
      const uint32_t list = lists[taken].slot;
      // A slot or two: less than what a call to copy them would cost.
      for (Slot slot : by_list_ != nullptr ? by_list_->of(list) : near().of(list)) {
        slots->push_back(slot);
      }
    }
    return taken;
  }

 private:
  static std::vector<Slot>& all() {
    static thread_local std::vector<Slot> all;
    return all;
  }
  static SlotsOfLists& near() {
    static thread_local SlotsOfLists near;
    return near;
  }

  std::shared_ptr<const SlotsByList> by_list_;
  const size_t nlist_;
  bool has_lists_ = false;
};

}  // namespace

absl::Status CollectionReader::SearchFiltered(const SearchRequest& request,
                                              const CollectionView& view, MatrixView queries,
                                              size_t k, const FilterMatches& matches,
                                              std::span<std::vector<Neighbor>> results,
                                              SearchReport* report) const {
  const bool asked_before = matches.searches.fetch_add(1, std::memory_order_relaxed) > 0;
  const bool repeated = asked_before && !matches.is_estimate();
  const uint64_t exact_max = compares_in_memory() ? kExactPoints : kExactPointsOnDisk;
  if (request.exact || view.codebook == nullptr ||
      (matches.count() <= exact_max && !matches.is_estimate())) {
    report->plan = SearchPlan::kExactMatching;
    report->exhausted = true;
    Compared compared;
    RETURN_IF_ERROR(
        SearchMatching(ExecutorOf(request), queries, k, matches.List(), results, &compared));
    Report(compared, report);
    return absl::OkStatus();
  }
  IvfSearchParams params = SearchParams(request, view, k);
  params.allowed_count = matches.count();
  params.allowed_max = matches.count_max();
  params.widen = request.nprobe == 0 || request.target_recall.has_value();
  const bool gather = compares_in_memory() && params.widen && GatheringReadsLess(view, matches);
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
  params.stop_against = gather && !matches.is_estimate();
  return SearchMasked(view, queries, params, matches, repeated, results, report);
}

// Whether to compare all that match takes fewer bytes than to scan all codes.
bool CollectionReader::GatheringReadsLess(const CollectionView& view,
                                          const FilterMatches& matches) const {
  const size_t code_bytes = view.lists->tables().shape.block_bytes() / kLutScanBlockVectors;
  return matches.count() * (table_.row_bytes() + kRowBytes) <= view.lists->size() * code_bytes;
}

// Scans lists under the mask of what matches. A query that the search gives up on is compared with
// all that match.
absl::Status CollectionReader::SearchMasked(const CollectionView& view, MatrixView queries,
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
  absl::Mutex mutex;
  IvfSearchStats stats;
  Compared compared;
  const auto search = [&](size_t begin, size_t end) -> absl::Status {
    CollectionVectors vectors(*this, /*may_wait=*/true);
    IvfSearchStats of_part;
    Compared with_all;
    // One by one, so that it is known on which it gave up.
    const size_t at_once = params.stop_against ? 1 : end - begin;
    std::vector<Slot> matching;  // once there is a query to compare with them
    for (size_t q = begin; q < end; q += at_once) {
      const MatrixView some = queries.Rows(q, at_once);
      const auto found = results.subspan(q, at_once);
      const size_t against = of_part.queries_against;
      RETURN_IF_ERROR(SearchIvf(*view.lists, some, params, *view.dead, &vectors, found, &of_part));
      if (of_part.queries_against == against) continue;
      if (matching.empty()) matching = matches.List();
      RETURN_IF_ERROR(SearchMatching(search_executor_, some, params.k, matching, found, &with_all));
    }
    absl::MutexLock lock(&mutex);
    stats += of_part;
    compared += with_all;
    return absl::OkStatus();
  };
  // What an explanation says of times is of one thread.
  Executor* executor = params.timed ? nullptr : search_executor_;
  RETURN_IF_ERROR(ForEachPart(executor, queries.rows, BytesOfQuery(view, params), search));
  const size_t against = stats.queries_against;
  ReportLists(view, stats, queries.rows, report);
  report->plan = against == queries.rows ? SearchPlan::kExactMatching : SearchPlan::kMaskedLists;
  Report(compared, report);
  report->exhausted = stats.queries_exhausted + against == queries.rows;
  return absl::OkStatus();
}

// Whether slots still have the lists of the view: no codebook has been installed and no lists have
// been split since it was taken. To be asked after their lists have been read.
bool CollectionReader::HasListsOf(const CollectionView& view) const {
  return lists_codebook_.load(std::memory_order_acquire) == view.codebook.get();
}

// Null if slots have other lists than those of the view.
std::shared_ptr<const SlotsByList> CollectionReader::MatchesByList(
    const CollectionView& view, const FilterMatches& matches) const {
  return matches.by_list.Get([&]() -> std::shared_ptr<const SlotsByList> {
    auto by_list = SlotsByList::Make(matches.List(), table_, view.codebook->nlist());
    return HasListsOf(view) ? by_list : nullptr;
  });
}

// Compares each query with the vectors that match and lie in the lists near it. False, and no
// results, if slots have other lists than those of the view.
absl::StatusOr<bool> CollectionReader::SearchGathered(const CollectionView& view,
                                                      MatrixView queries,
                                                      const IvfSearchParams& params,
                                                      const FilterMatches& matches, bool sort,
                                                      std::span<std::vector<Neighbor>> results,
                                                      SearchReport* report) const {
  std::shared_ptr<const SlotsByList> by_list;
  if (sort) {
    by_list = MatchesByList(view, matches);
    if (by_list == nullptr) return false;
  }
  const auto have_lists = [&] { return HasListsOf(view); };
  absl::Mutex mutex;
  SearchReport gathered = *report;
  gathered.plan = SearchPlan::kMaskedLists;
  gathered.exhausted = true;
  bool done = true;
  const auto search = [&](size_t begin, size_t end) -> absl::Status {
    static thread_local std::vector<Slot> slots;
    ListedSlots source(by_list, matches, table_, view.lists->nlist(), have_lists);
    for (size_t q = begin; q < end; ++q) {
      slots.clear();
      const std::optional<size_t> lists =
          NearSlots(*view.lists, params, &source, &slots).Collect(queries.row(q));
      {
        absl::MutexLock lock(&mutex);
        done = done && lists.has_value();
        if (!done) return absl::OkStatus();
        gathered.lists_scanned += *lists;
        gathered.exhausted = gathered.exhausted && slots.size() == matches.count();
      }
      Compared compared;
      RETURN_IF_ERROR(SearchMatching(search_executor_, queries.Rows(q, 1), params.k, slots,
                                     results.subspan(q, 1), &compared));
      absl::MutexLock lock(&mutex);
      Report(compared, &gathered);
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachPart(search_executor_, queries.rows, BytesOfQuery(view, params), search));
  if (done) *report = gathered;
  return done;
}

// Compares the queries with the vectors of `slots`, which have points in a view that is held.
absl::Status CollectionReader::SearchMatching(Executor* executor, MatrixView queries, size_t k,
                                              std::span<const Slot> slots,
                                              std::span<std::vector<Neighbor>> results,
                                              Compared* compared) const {
  absl::Mutex mutex;
  const auto compare = [&](size_t begin, size_t end, std::span<const ExactScorer> scorers,
                           const DistanceVisitor& visit) -> absl::Status {
    const std::span<const Slot> part = slots.subspan(begin, end - begin);
    Compared of_part;
    if (has_scalar_codes()) {
      RETURN_IF_ERROR(CompareOpenSlots(queries, k, part, scorers, visit, &of_part));
    } else {
      RETURN_IF_ERROR(CompareSlots(scorers, part, visit));
      of_part.in_full = part.size() * queries.rows;
    }
    absl::MutexLock lock(&mutex);
    *compared += of_part;
    return absl::OkStatus();
  };
  return NearestOf(executor, slots.size(), BytesOfCandidate(), queries, k, compare, results);
}

absl::Status CollectionReader::CompareSlots(std::span<const ExactScorer> scorers,
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
      rows[count] = vectors_in_memory() ? table_.row(some[i]) : &read[i * vector_bytes()];
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
