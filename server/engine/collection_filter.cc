// Filters: which points of a view match, and the searches among them.
#include <algorithm>
#include <utility>

#include "index/base/status_macros.h"
#include "index/base/top_k.h"
#include "index/simd/exact.h"
#include "server/engine/collection.h"
#include "server/filter/evaluate.h"

namespace tessera {
namespace {

// Payloads read one by one at a time.
constexpr size_t kReadSlots = 1024;
// To read all payloads in their order is this many times faster, for each, than one by one.
constexpr uint64_t kWalkAdvantage = 8;
// Rows compared with all queries before the next are touched: they stay in the first-level cache.
constexpr size_t kMatchingBlockRows = 128;

std::vector<Slot> SlotsOf(const Roaring& bitmap) {
  std::vector<Slot> slots(bitmap.cardinality());
  bitmap.toUint32Array(slots.data());
  return slots;
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

absl::StatusOr<FilterMatches> Collection::FindMatches(const CollectionView& view,
                                                      const Filter& filter) const {
  // An index knows which slots have points; without one, dead slots are among them until the end.
  Roaring universe;
  for (const auto& [key, field] : view.indexes->fields) {
    if (!field.ready) continue;
    universe = field.index->covered();
    break;
  }
  if (universe.isEmpty()) universe.addRange(0, view.slot_end);
  const SlotsOfIds slots_of = [&](const std::vector<FilterId>& ids) -> absl::StatusOr<Roaring> {
    std::vector<Slot> slots;
    RETURN_IF_ERROR(FindSlots(ids, &slots));
    Roaring found;
    for (Slot slot : slots) {
      if (slot < view.slot_end) found.add(slot);
    }
    return found;
  };
  ASSIGN_OR_RETURN(IndexedAnswer answer,
                   AnswerByIndexes(*view.indexes, filter, universe, slots_of));
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
  ASSIGN_OR_RETURN(const FilterMatches matches, FindMatches(*now, filter));
  std::vector<PointId> ids;
  for (Slot slot : matches.slots) {
    if (!now->dead->Contains(slot)) ids.push_back(table_.id(slot));
  }
  return ids;
}

absl::StatusOr<uint64_t> Collection::Count(const Filter& filter) const {
  if (filter.empty()) return points();
  const auto now = view();
  ASSIGN_OR_RETURN(const FilterMatches matches, FindMatches(*now, filter));
  uint64_t count = 0;
  for (Slot slot : matches.slots) count += !now->dead->Contains(slot);
  return count;
}

void Collection::ReportMatches(const FilterMatches& matches, SearchReport* report) const {
  report->matching = matches.slots.cardinality();
  const double share =
      static_cast<double>(report->matching) / static_cast<double>(std::max<uint64_t>(points(), 1));
  report->selectivity = std::min(1.0, share);
  report->payloads_read = matches.payloads_read;
  report->unindexed = matches.unindexed;
}

absl::Status Collection::SearchFiltered(const SearchRequest& request, const CollectionView& view,
                                        MatrixView queries, size_t k, const Roaring& matching,
                                        std::span<std::vector<Neighbor>> results,
                                        SearchReport* report) const {
  report->plan = SearchPlan::kExactMatching;
  report->exhausted = true;
  report->candidates_reranked = queries.rows * report->matching;
  return SearchMatching(view, queries, k, matching, results);
}

// Compares the queries with every vector that matches.
absl::Status Collection::SearchMatching(const CollectionView& view, MatrixView queries, size_t k,
                                        const Roaring& matching,
                                        std::span<std::vector<Neighbor>> results) const {
  std::vector<ExactScorer> scorers;
  std::vector<TopK> best;
  for (size_t q = 0; q < queries.rows; ++q) {
    scorers.emplace_back(spec_.metric, spec_.element_type, queries.row(q));
    best.emplace_back(k);
  }
  std::vector<Slot> slots = SlotsOf(matching);
  std::erase_if(slots, [&](Slot slot) { return view.dead->Contains(slot); });
  std::vector<const std::byte*> rows(kMatchingBlockRows);
  std::vector<float> distances(kMatchingBlockRows);
  std::vector<std::byte> read(vectors_in_memory() ? 0 : kMatchingBlockRows * vector_bytes());
  bool found[kMatchingBlockRows];
  for (size_t begin = 0; begin < slots.size(); begin += kMatchingBlockRows) {
    const std::span<const Slot> block(&slots[begin],
                                      std::min(kMatchingBlockRows, slots.size() - begin));
    std::fill_n(found, block.size(), true);
    if (!vectors_in_memory()) RETURN_IF_ERROR(ReadRows(block, read.data(), found));
    for (size_t i = 0; i < block.size(); ++i) {
      rows[i] = vectors_in_memory() ? table_.vector(block[i]) : &read[i * vector_bytes()];
    }
    for (size_t q = 0; q < queries.rows; ++q) {
      scorers[q].Score(rows.data(), block.size(), distances.data());
      for (size_t i = 0; i < block.size(); ++i) {
        if (found[i]) best[q].Push(distances[i], block[i]);
      }
    }
  }
  for (size_t q = 0; q < queries.rows; ++q) results[q] = best[q].Take();
  return absl::OkStatus();
}

}  // namespace tessera
