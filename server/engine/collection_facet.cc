// Values of a payload field: how many points have each.
//
// The order is total, by count and then by value, and a page token is a place in it. Each page
// counts anew in the newest view: a value whose count stays comes once, whatever else is written.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"
#include "server/engine/facet_values.h"
#include "server/engine/page_token.h"
#include "server/engine/value_counts.h"
#include "server/filter/evaluate.h"
#include "server/filter/fingerprint.h"

namespace tessera {
namespace {

// One page of the counts that it is told, in the order of their values: the most frequent first,
// ties by value.
class FacetPage {
 public:
  // Behind `after`, if there is one.
  FacetPage(size_t limit, std::optional<FacetCount> after)
      : limit_(limit), after_(std::move(after)) {}

  // Whether a value that at most so many points have changes nothing.
  bool IsFullFor(uint64_t points) const {
    return more_ && (limit_ == 0 || points <= counts_.front().points);
  }

  void Add(FacetCount count) {
    if (count.points == 0 || (after_.has_value() && !ComesBefore(*after_, count))) return;
    if (counts_.size() < limit_) {
      counts_.push_back(std::move(count));
      std::push_heap(counts_.begin(), counts_.end(), ComesBefore);
      return;
    }
    more_ = true;
    if (IsFullFor(count.points)) return;
    std::pop_heap(counts_.begin(), counts_.end(), ComesBefore);
    counts_.back() = std::move(count);
    std::push_heap(counts_.begin(), counts_.end(), ComesBefore);
  }

  FacetResult Take(const FacetTokenScope& scope) {
    FacetResult result;
    result.counts = std::move(counts_);
    std::sort_heap(result.counts.begin(), result.counts.end(), ComesBefore);
    if (more_ && !result.counts.empty()) {
      result.next_page_token = EncodeFacetToken(scope, result.counts.back());
    }
    return result;
  }

 private:
  static bool ComesBefore(const FacetCount& a, const FacetCount& b) {
    return a.points != b.points ? a.points > b.points : a.value < b.value;
  }

  const size_t limit_;
  const std::optional<FacetCount> after_;
  std::vector<FacetCount> counts_;  // a heap: the last of the page at the front
  bool more_ = false;               // there is a next page
};

FacetValue ToFacetValue(PayloadIndexType type, const FieldIndex::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const int64_t integer = std::get<int64_t>(value);
  if (type == PayloadIndexType::kBool) return integer != 0;
  return integer;
}

// Whether the index alone can count: it holds every value that counts.
bool Counts(const IndexedField& field) {
  const PayloadIndexType type = field.index->spec().type;
  return field.ready && field.index->others().isEmpty() &&
         (type == PayloadIndexType::kKeyword || type == PayloadIndexType::kInteger ||
          type == PayloadIndexType::kBool);
}

}  // namespace

absl::StatusOr<FacetResult> CollectionReader::Facet(const FacetRequest& request) const {
  if (std::string problem = request.key.Violation(); !problem.empty()) {
    return InvalidField("key", problem);
  }
  const FacetTokenScope scope{id_, request.key.text(), FilterFingerprint(request.filter)};
  std::optional<FacetCount> after;
  if (!request.page_token.empty()) {
    ASSIGN_OR_RETURN(after, DecodeFacetToken(request.page_token, scope));
  }
  FacetPage page(request.limit, std::move(after));
  const auto now = view();
  const bool all = request.filter.empty();
  std::shared_ptr<const FilterMatches> matches;
  if (!all) {
    ASSIGN_OR_RETURN(matches, FindMatches(*now, request.filter));
  }
  const auto field = now->indexes->fields.find(request.key.text());
  if (field != now->indexes->fields.end() && Counts(field->second)) {
    const PayloadIndexType type = field->second.index->spec().type;
    field->second.index->ForEachValue([&](const auto& value, const Posting& posting) {
      if (page.IsFullFor(posting.size())) return;
      const uint64_t points = all ? posting.size() : posting.CountIn(matches->slots());
      page.Add({ToFacetValue(type, value), points});
    });
    FacetResult result = page.Take(scope);
    result.indexed = true;
    return result;
  }
  // What was written since the view was taken is read, too: of a point that was replaced, only its
  // new slot is left to be counted.
  const auto match = [&](Slot slot, const PointRecordView& record) {
    const bool in_view = slot < now->slot_end && !now->dead->Contains(slot);
    return in_view ? matches->slots().contains(slot)
                   : MatchesText(request.filter, record.id, record.payload);
  };
  const PointScan scan = ScanPointsInView();
  ValueCounts counts(request.key, limits::kFacetBytesMax);
  RETURN_IF_ERROR(ForEachPayload(*scan.records, [&](Slot slot, const PointRecordView& record) {
    if (scan.view->leftover->Contains(slot)) return absl::OkStatus();
    if (!all && !match(slot, record)) return absl::OkStatus();
    return counts.Add(record.payload);
  }));
  for (const auto& [value, points] : counts.points()) page.Add({value, points});
  return page.Take(scope);
}

}  // namespace tessera
