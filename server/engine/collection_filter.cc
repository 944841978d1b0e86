// Filters: which points of a view match.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "index/base/status_macros.h"
#include "index/base/stopwatch.h"
#include "index/ivf/entry_lanes.h"
#include "server/engine/collection_reader.h"
#include "server/filter/evaluate.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

// Payloads read one by one at a time.
constexpr size_t kReadSlots = 1024;
// To read all payloads in their order is this many times faster, for each, than one by one.
constexpr uint64_t kWalkAdvantage = 8;
// Fewer points that match are compared one by one, at the most.
constexpr uint64_t kCodesFrom = 200;

// Of several conditions: where the one that fewest points meet is met by so many, the points that
// meet all are told one by one. Where it is met by more, a search takes an estimate from so many
// runs of slots that lie one after the other, if they hold enough of what matches; what matches
// less often costs little to be found exactly, and is compared whole.
constexpr uint64_t kListedPoints = 32'768;
constexpr uint64_t kSampledRuns = 128;
constexpr uint64_t kSampledRunSlots = 32;
constexpr uint64_t kSampledMatchesMin = 12;
constexpr uint64_t kEstimateMin = 6'000;

SlotParts Intersection(const TermsAnswer& terms) {
  std::vector<Slot> slots;
  terms.first.List(&slots);
  KeepAllowed(terms.others, &slots);
  SlotParts parts;
  parts.Add(slots);
  return parts;
}

// About how many of the slots before `end` match; nullopt if too few do for a sample to tell.
std::optional<uint64_t> EstimateMatches(const TermsAnswer& terms, uint64_t end) {
  constexpr uint64_t kSampled = kSampledRuns * kSampledRunSlots;
  if (end <= kSampled) return std::nullopt;
  std::vector<Slot> slots;
  slots.reserve(kSampled);
  for (uint64_t run = 0; run < kSampledRuns; ++run) {
    const uint64_t begin = run * (end - kSampledRunSlots) / (kSampledRuns - 1);
    for (uint64_t i = 0; i < kSampledRunSlots; ++i) slots.push_back(static_cast<Slot>(begin + i));
  }
  KeepAllowed(terms.codes->terms, &slots);
  const double share = static_cast<double>(slots.size()) / static_cast<double>(kSampled);
  const uint64_t estimate =
      std::min(static_cast<uint64_t>(share * static_cast<double>(end)), terms.first.size());
  if (slots.size() < kSampledMatchesMin || estimate < kEstimateMin) return std::nullopt;
  return estimate;
}

Roaring LiveBitmap(const CollectionView& view) {
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
absl::Status CollectionReader::CheckPayloads(const CollectionView& view, const Filter& filter,
                                             const Roaring& open, Roaring* matching) const {
  Roaring missed = open;
  const auto check = [&](Slot slot, const PointRecordView& record) {
    missed.remove(slot);
    if (MatchesText(filter, record.id, record.payload)) matching->add(slot);
    return absl::OkStatus();
  };
  if (open.cardinality() > points() / kWalkAdvantage) {
    RETURN_IF_ERROR(ForEachPayload(*ScanPoints(), [&](Slot slot, const PointRecordView& record) {
      return open.contains(slot) ? check(slot, record) : absl::OkStatus();
    }));
  } else {
    const std::vector<Slot> slots = SlotsOf(open);
    for (size_t begin = 0; begin < slots.size(); begin += kReadSlots) {
      const std::span<const Slot> some(&slots[begin], std::min(kReadSlots, slots.size() - begin));
      RETURN_IF_ERROR(ReadPoints(
          some, [&](size_t i, const PointRecordView& record) { return check(some[i], record); }));
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
    return absl::OkStatus();
  });
}

absl::StatusOr<std::shared_ptr<const FilterMatches>> CollectionReader::FindMatches(
    const CollectionView& view, const Filter& filter, bool may_estimate) const {
  if (auto known = filter_cache_.Find(view.version, filter)) {
    if (!known->is_estimate()) return known;
    // What is asked again is worth being found exactly.
    may_estimate = may_estimate && known->searches.load(std::memory_order_relaxed) == 0;
    if (may_estimate) return known;
  }
  ASSIGN_OR_RETURN(auto matches, ComputeMatches(view, filter, may_estimate));
  filter_cache_.Put(view.version, filter, matches);
  return matches;
}

// What the indexes know of which slots of the view match.
absl::StatusOr<IndexedAnswer> CollectionReader::AnswerFilter(const CollectionView& view,
                                                             const Filter& filter) const {
  // An index knows which slots have points.
  Roaring universe;
  for (const auto& [key, field] : view.indexes->fields) {
    if (!field.ready) continue;
    universe = field.index->covered();
    break;
  }
  if (universe.isEmpty()) universe = LiveBitmap(view);
  const SlotsOfIds slots_of = [&](const std::vector<FilterId>& ids) -> absl::StatusOr<Roaring> {
    ASSIGN_OR_RETURN(const std::vector<Slot> slots, SlotsInView(view, ids));
    return Roaring(slots.size(), slots.data());
  };
  return AnswerByIndexes(*view.indexes, filter, universe, slots_of);
}

absl::StatusOr<std::shared_ptr<const FilterMatches>> CollectionReader::ComputeMatches(
    const CollectionView& view, const Filter& filter, bool may_estimate) const {
  if (std::optional<SlotParts> parts = AnswerByOneIndex(*view.indexes, filter)) {
    auto matches = std::make_shared<FilterMatches>(std::move(*parts), view.indexes);
    // For a search that does not compare all that match.
    if (view.lists != nullptr && matches->count() > kCodesFrom) {
      matches->codes = CodesByOneIndex(*view.indexes, filter);
    }
    return matches;
  }
  const uint64_t first_max = may_estimate ? std::numeric_limits<uint64_t>::max() : kListedPoints;
  if (const auto terms = AnswerByTerms(*view.indexes, filter, first_max)) {
    if (terms->first.size() <= kListedPoints) {
      auto matches = std::make_shared<FilterMatches>(Intersection(*terms), view.indexes);
      if (view.lists != nullptr && matches->count() > kCodesFrom) matches->codes = terms->codes;
      return matches;
    }
    if (terms->codes != nullptr) {
      if (const auto estimate = EstimateMatches(*terms, view.slot_end)) {
        return std::make_shared<FilterMatches>(*estimate, terms->first.size(), terms->codes);
      }
    }
  }
  ASSIGN_OR_RETURN(IndexedAnswer answer, AnswerFilter(view, filter));
  const uint64_t open = answer.slots.open.cardinality();
  if (open > 0) {
    RETURN_IF_ERROR(CheckPayloads(view, filter, answer.slots.open, &answer.slots.certain));
  }
  auto matches = std::make_shared<FilterMatches>(std::move(answer.slots.certain));
  matches->payloads_read = open;
  matches->unindexed = std::move(answer.unindexed);
  return matches;
}

absl::StatusOr<std::vector<PointId>> CollectionReader::MatchingIds(const Filter& filter) const {
  const auto now = view();
  ASSIGN_OR_RETURN(const auto matches, FindMatches(*now, filter));
  std::vector<PointId> ids;
  for (Slot slot : matches->slots()) {
    if (!now->dead->Contains(slot)) ids.push_back(table_.id(slot));
  }
  return ids;
}

absl::StatusOr<std::shared_ptr<const FilterMatches>> CollectionReader::MatchesForSearch(
    const CollectionView& view, const Filter& filter, bool may_estimate, Stopwatch* stopwatch,
    SearchReport* report) const {
  if (filter.empty()) return nullptr;
  ASSIGN_OR_RETURN(auto matches, FindMatches(view, filter, may_estimate));
  report->matching = matches->count();
  const double share =
      static_cast<double>(report->matching) / static_cast<double>(std::max<uint64_t>(points(), 1));
  report->selectivity = std::min(1.0, share);
  report->payloads_read = matches->payloads_read;
  report->unindexed = matches->unindexed;
  report->filter_us = stopwatch->LapUs();
  return matches;
}

}  // namespace tessera
