// Filters: which points of a view match, and the searches among them.
#include <algorithm>
#include <utility>

#include "index/base/status_macros.h"
#include "index/base/top_k.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/exact.h"
#include "server/engine/collection.h"
#include "server/engine/collection_vectors.h"
#include "server/filter/dense_mask.h"
#include "server/filter/evaluate.h"

namespace tessera {
namespace {

// Payloads read one by one at a time.
constexpr size_t kReadSlots = 1024;
// To read all payloads in their order is this many times faster, for each, than one by one.
constexpr uint64_t kWalkAdvantage = 8;
// Up to as many points that match are all compared with the query: that costs no more than to find
// out which of them are near. From disk each costs a read.
constexpr uint64_t kExactPoints = 3'000;
constexpr uint64_t kExactPointsOnDisk = 200;
// Up to as many, it costs less to look at the list of each than to scan lists for them.
constexpr uint64_t kGatherPoints = 60'000;
// Rows compared with all queries before the next are touched: they stay in the first-level cache.
constexpr size_t kMatchingBlockRows = 128;

std::vector<Slot> SlotsOf(const Roaring& bitmap) {
  std::vector<Slot> slots(bitmap.cardinality());
  bitmap.toUint32Array(slots.data());
  return slots;
}

Roaring LiveSlots(const CollectionView& view) {
  Roaring live;
  live.addRange(0, view.slot_end);
  if (view.dead->size() == 0) return live;
  for (Slot slot = 0; slot < view.slot_end; ++slot) {
    if (view.dead->Contains(slot)) live.remove(slot);
  }
  return live;
}

}  // namespace

// Evaluates the filter on the payloads of the points in `open`.
absl::Status Collection::CheckPayloads(const CollectionView& view, const Filter& filter,
                                       const Roaring& open, Roaring* matching) const {
  Roaring missed = open;
  const auto check = [&](Slot slot, const PointRecordView& record) {
    missed.remove(slot);
    if (MatchesText(filter, record.id, record.payload)) matching->add(slot);
  };
  if (open.cardinality() > points() / kWalkAdvantage) {
    RETURN_IF_ERROR(ForEachPayload(nullptr, [&](Slot slot, const PointRecordView& record) {
      if (open.contains(slot)) check(slot, record);
      return absl::OkStatus();
    }));
  } else {
    const std::vector<Slot> slots = SlotsOf(open);
    for (size_t begin = 0; begin < slots.size(); begin += kReadSlots) {
      const std::span<const Slot> some(&slots[begin], std::min(kReadSlots, slots.size() - begin));
      RETURN_IF_ERROR(ReadPoints(
          some, [&](size_t i, const PointRecordView& record) { check(some[i], record); }));
    }
  }
  // Replaced since the view was taken: what the point holds now counts.
  std::vector<Slot> replaced = SlotsOf(missed);
  std::erase_if(replaced, [&](Slot slot) { return view.dead->Contains(slot); });
  if (replaced.empty()) return absl::OkStatus();
  std::vector<PointId> ids;
  for (Slot slot : replaced) ids.push_back(table_.id(slot));
  return ReadByIds(ids, [&](size_t i, const PointRecordView& record) {
    if (MatchesText(filter, record.id, record.payload)) matching->add(replaced[i]);
  });
}

absl::StatusOr<std::shared_ptr<const FilterMatches>> Collection::FindMatches(
    const CollectionView& view, const Filter& filter) const {
  if (auto known = filter_cache_.Find(view.version, filter)) return known->matches;
  ASSIGN_OR_RETURN(FilterMatches found, ComputeMatches(view, filter));
  found.count = found.slots.cardinality();
  auto matches = std::make_shared<const FilterMatches>(std::move(found));
  filter_cache_.Put(view.version, filter, {matches, nullptr});
  return matches;
}

std::shared_ptr<const SlotMask> Collection::MaskOf(
    const CollectionView& view, const Filter& filter,
    const std::shared_ptr<const FilterMatches>& matches) const {
  const auto known = filter_cache_.Find(view.version, filter);
  if (known.has_value() && known->mask != nullptr) return known->mask;
  auto mask = std::make_shared<const SlotMask>(MakeDenseMask(matches->slots, view.slot_end));
  filter_cache_.Put(view.version, filter, {matches, mask});
  return mask;
}

// What the indexes know of which slots of the view match.
absl::StatusOr<IndexedAnswer> Collection::AnswerFilter(const CollectionView& view,
                                                       const Filter& filter) const {
  // An index knows which slots have points.
  Roaring universe;
  for (const auto& [key, field] : view.indexes->fields) {
    if (!field.ready) continue;
    universe = field.index->covered();
    break;
  }
  if (universe.isEmpty()) universe = LiveSlots(view);
  const SlotsOfIds slots_of = [&](const std::vector<FilterId>& ids) -> absl::StatusOr<Roaring> {
    std::vector<Slot> slots;
    RETURN_IF_ERROR(FindSlots(ids, &slots));
    Roaring found;
    for (Slot slot : slots) {
      if (slot < view.slot_end) found.add(slot);
    }
    return found;
  };
  return AnswerByIndexes(*view.indexes, filter, universe, slots_of);
}

absl::StatusOr<FilterMatches> Collection::ComputeMatches(const CollectionView& view,
                                                         const Filter& filter) const {
  ASSIGN_OR_RETURN(IndexedAnswer answer, AnswerFilter(view, filter));
  FilterMatches matches;
  matches.slots = std::move(answer.slots.certain);
  matches.unindexed = std::move(answer.unindexed);
  if (!answer.slots.decided()) {
    matches.payloads_read = answer.slots.open.cardinality();
    RETURN_IF_ERROR(CheckPayloads(view, filter, answer.slots.open, &matches.slots));
  }
  return matches;
}

absl::StatusOr<std::vector<PointId>> Collection::MatchingIds(const Filter& filter) const {
  const auto now = view();
  ASSIGN_OR_RETURN(const auto matches, FindMatches(*now, filter));
  std::vector<PointId> ids;
  for (Slot slot : matches->slots) {
    if (!now->dead->Contains(slot)) ids.push_back(table_.id(slot));
  }
  return ids;
}

void Collection::ReportMatches(const FilterMatches& matches, SearchReport* report) const {
  report->matching = matches.count;
  const double share =
      static_cast<double>(report->matching) / static_cast<double>(std::max<uint64_t>(points(), 1));
  report->selectivity = std::min(1.0, share);
  report->payloads_read = matches.payloads_read;
  report->unindexed = matches.unindexed;
}

absl::Status Collection::SearchFiltered(const SearchRequest& request, const CollectionView& view,
                                        MatrixView queries, size_t k,
                                        const std::shared_ptr<const FilterMatches>& matches,
                                        std::span<std::vector<Neighbor>> results,
                                        SearchReport* report) const {
  const uint64_t exact_max = vectors_in_memory() ? kExactPoints : kExactPointsOnDisk;
  if (request.exact || view.codebook == nullptr || matches->count <= exact_max) {
    report->plan = SearchPlan::kExactMatching;
    report->exhausted = true;
    report->candidates_reranked = queries.rows * matches->count;
    return SearchMatching(queries, k, SlotsOf(matches->slots), results);
  }
  IvfSearchParams params = SearchParams(request, view, k);
  params.allowed_count = matches->count;
  params.widen = request.nprobe == 0;
  if (vectors_in_memory() && params.widen && matches->count <= kGatherPoints) {
    report->exhausted = true;
    for (size_t q = 0; q < queries.rows; ++q) {
      RETURN_IF_ERROR(
          SearchMatchingOfLists(view, queries.Rows(q, 1), params, *matches, &results[q], report));
    }
    return absl::OkStatus();
  }
  const auto mask = MaskOf(view, request.filter, matches);
  params.allowed = mask.get();
  CollectionVectors vectors(*this);
  IvfSearchStats stats;
  RETURN_IF_ERROR(SearchIvf(*view.lists, queries, params, *view.dead, &vectors, results, &stats));
  ReportLists(view, stats, queries.rows, report);
  report->plan = SearchPlan::kMaskedLists;
  report->exhausted = stats.queries_exhausted == queries.rows;
  return absl::OkStatus();
}

// Compares the query with the vectors that match and lie in the lists near it; with all that match
// where those lists hold few of them.
absl::Status Collection::SearchMatchingOfLists(const CollectionView& view, MatrixView query,
                                               const IvfSearchParams& params,
                                               const FilterMatches& matches,
                                               std::vector<Neighbor>* result,
                                               SearchReport* report) const {
  const SearchWidth width = MaskedSearchWidth(params, view.codebook->nlist(), view.lists->size());
  std::vector<uint32_t> lists;
  NearestLists(*view.lists, query, width.lists, &lists);
  std::vector<uint8_t> near(view.codebook->nlist(), 0);
  for (uint32_t list : lists) near[list] = 1;
  const std::vector<Slot> all = SlotsOf(matches.slots);
  std::vector<Slot> slots(all.size());
  size_t met = 0;
  for (Slot slot : all) {
    const uint32_t list = table_.list(slot);
    slots[met] = slot;
    met += list < near.size() ? near[list] : 0;
  }
  slots.resize(met);
  report->plan = SearchPlan::kMaskedLists;
  report->lists_scanned += lists.size();
  // The lists of slots are of another codebook if one has been installed meanwhile.
  const bool short_of = met < std::max(params.k, width.met / 2);
  if (short_of || this->view()->codebook_version != view.codebook_version) {
    slots = all;
    if (query.rows == 1) report->plan = SearchPlan::kExactMatching;
  }
  report->exhausted = report->exhausted && slots.size() == all.size();
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
