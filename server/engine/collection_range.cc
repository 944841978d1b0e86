// Range searches: every point within a radius, page by page. A page holds the next points by (exact
// distance, id), so that its end says all that the next one has to know.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/base/stopwatch.h"
#include "index/ivf/range_scan.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"
#include "server/engine/range_cursor.h"
#include "server/filter/fingerprint.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

// Up to as many points that match a filter are all compared with the query.
constexpr uint64_t kExactPoints = 3'000;

uint32_t QueryChecksum(std::span<const float> query, float radius, const Filter& filter) {
  const uint32_t fingerprint = FilterFingerprint(filter);
  std::string bytes(reinterpret_cast<const char*>(query.data()), query.size_bytes());
  bytes.append(reinterpret_cast<const char*>(&radius), sizeof(radius));
  bytes.append(reinterpret_cast<const char*>(&fingerprint), sizeof(fingerprint));
  return Crc32c(bytes);
}

}  // namespace

// The points of one page, and one more if there are more.
class CollectionReader::RangePage {
 public:
  RangePage(const CollectionReader& collection, const RangeRequest& request, float radius,
            std::optional<RangeCursor> after)
      : table_(collection.table_),
        left_out_(request.id),
        radius_(radius),
        after_(std::move(after)),
        best_(request.page_size + 1, collection.ById()) {}

  // No point that is farther can be in the page.
  float farthest() const { return std::min(radius_, best_.threshold()); }
  // No point that is nearer can be.
  float nearest() const {
    return after_.has_value() ? after_->distance : -std::numeric_limits<float>::infinity();
  }

  void Push(std::span<const Slot> slots, const float* distances) {
    for (size_t i = 0; i < slots.size(); ++i) {
      if (!(distances[i] <= farthest()) || distances[i] < nearest()) continue;
      if (IsWanted(slots[i], distances[i])) best_.Push(distances[i], slots[i]);
    }
  }

  std::vector<Neighbor> Take() { return best_.Take(); }

 private:
  bool IsWanted(Slot slot, float distance) const {
    const bool tied = after_.has_value() && distance == after_->distance;
    if (!tied && !left_out_.has_value()) return true;
    const PointId id = table_.id(slot);
    return !(tied && !(after_->id < id)) && id != left_out_;
  }

  const SlotTable& table_;
  const std::optional<PointId> left_out_;
  const float radius_;  // as a distance
  const std::optional<RangeCursor> after_;
  TopK best_;
};

absl::Status CollectionReader::CheckRange(const RangeRequest& request) const {
  if (request.id.has_value() && request.vector.rows > 0) {
    return InvalidField("id", "is filled beside vector: fill one of the two");
  }
  if (!request.id.has_value() && request.vector.rows != 1) {
    return InvalidField("vector", absl::StrCat("has ", request.vector.rows, " rows, must be one"));
  }
  if (!std::isfinite(request.radius)) return InvalidField("radius", "is not a finite number");
  if (request.page_size == 0 || request.page_size > limits::kPageSizeMax) {
    return InvalidField("page_size", absl::StrCat("is ", request.page_size, ", must be 1 to ",
                                                  limits::kPageSizeMax));
  }
  return absl::OkStatus();
}

absl::Status CollectionReader::RangeQuery(const RangeRequest& request, Matrix* query) const {
  if (request.id.has_value()) return StoredVectors({*request.id}, query);
  return WidenVectors(request.vector, "vector", query);
}

absl::StatusOr<RangeResult> CollectionReader::SearchRange(const RangeRequest& request) const {
  RETURN_IF_ERROR(CheckRange(request));
  const std::shared_ptr<const CollectionView> now = view();
  Matrix query;
  RETURN_IF_ERROR(RangeQuery(request, &query));
  const float sign = spec_.metric == Metric::kL2 ? 1.0f : -1.0f;
  const float radius = sign * request.radius;
  const uint32_t checksum = QueryChecksum(query.row(0), radius, request.filter);
  std::optional<RangeCursor> after;
  if (!request.page_token.empty()) {
    ASSIGN_OR_RETURN(after, DecodeRangeCursor(request.page_token, id_, checksum));
  }
  RangeResult result;
  result.element_type = spec_.element_type;
  SearchReport& report = result.report;
  Stopwatch stopwatch(request.explain);
  ASSIGN_OR_RETURN(
      const std::shared_ptr<const FilterMatches> matches,
      MatchesForSearch(*now, request.filter, /*may_estimate=*/false, &stopwatch, &report));
  RangePage page(*this, request, radius, std::move(after));
  RETURN_IF_ERROR(FillRangePage(request, *now, query.row(0), matches.get(), &page, &report));
  std::vector<Neighbor> found = page.Take();
  const bool more = found.size() > request.page_size;
  if (more) found.pop_back();
  std::optional<CodeBounds> by_code;
  if (report.plan == SearchPlan::kLists || report.plan == SearchPlan::kMaskedLists) {
    by_code.emplace(*now->lists, query.row(0));
  }
  for (const Neighbor& neighbor : found) {
    Hit& hit = result.hits.emplace_back();
    hit.id = table_.id(neighbor.slot);
    hit.slot = neighbor.slot;
    hit.score = sign * neighbor.distance;
    hit.certain_by_code =
        by_code.has_value() &&
        by_code->OfSlot(neighbor.slot, table_.list(neighbor.slot)).upper <= radius;
  }
  if (more) {
    result.next_page_token =
        EncodeRangeCursor(id_, checksum, {found.back().distance, result.hits.back().id});
  }
  report.search_us = stopwatch.LapUs();
  RETURN_IF_ERROR(FillFields(request.fields, /*may_wait=*/true, {&result.hits, 1}));
  report.fetch_us = stopwatch.LapUs();
  if (request.explain) Explain(*now, &report);
  return result;
}

absl::Status CollectionReader::FillRangePage(const RangeRequest& request,
                                             const CollectionView& view,
                                             std::span<const float> query,
                                             const FilterMatches* matches, RangePage* page,
                                             SearchReport* report) const {
  const bool few = matches != nullptr && matches->count() <= kExactPoints;
  if (view.codebook != nullptr && !few) return FillFromLists(view, query, matches, page, report);
  report->exhausted = true;
  const ExactScorer scorer(spec_.metric, spec_.element_type, query);
  if (matches != nullptr) {
    report->plan = SearchPlan::kExactMatching;
    report->candidates_reranked = matches->count();
    return CompareSlots(
        {&scorer, 1}, matches->List(),
        [page](size_t, std::span<const Slot> block, const float* d) { page->Push(block, d); });
  }
  report->candidates_reranked = points();
  return CompareLiveRows(
      view, 0, view.slot_end, {&scorer, 1},
      [page](size_t, std::span<const Slot> block, const float* d) { page->Push(block, d); });
}

// Compares with those points that their codes cannot tell to be outside of the page.
absl::Status CollectionReader::FillFromLists(const CollectionView& view,
                                             std::span<const float> query,
                                             const FilterMatches* matches, RangePage* page,
                                             SearchReport* report) const {
  const CodeBounds bounds(*view.lists, query);
  const ExactScorer scorer(spec_.metric, spec_.element_type, query);
  std::vector<Slot> slots;
  const auto compare = [&](std::span<const RangeCandidate> candidates, float* farthest) {
    slots.clear();
    for (const RangeCandidate& candidate : candidates) {
      if (candidate.bounds.upper < page->nearest()) continue;  // was in a page before
      if (matches != nullptr && !matches->slots().contains(candidate.slot)) continue;
      slots.push_back(candidate.slot);
    }
    report->candidates_reranked += slots.size();
    const absl::Status status = CompareSlots(
        {&scorer, 1}, slots,
        [page](size_t, std::span<const Slot> block, const float* d) { page->Push(block, d); });
    *farthest = page->farthest();
    return status;
  };
  IvfSearchStats stats;
  RETURN_IF_ERROR(ScanRange(*view.lists, bounds, page->farthest(), *view.dead, compare, &stats));
  report->plan = matches != nullptr ? SearchPlan::kMaskedLists : SearchPlan::kLists;
  report->lists_scanned = stats.lists_scanned;
  report->codes_scanned = stats.codes_scanned;
  report->exhausted = true;
  return absl::OkStatus();
}

}  // namespace tessera
