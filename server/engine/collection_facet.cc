// Values of a payload field: how many points have each.
#include <algorithm>
#include <map>
#include <utility>

#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"
#include "server/engine/facet_values.h"

namespace tessera {
namespace {

FacetResult MostFrequent(const std::map<FacetValue, uint64_t>& counts, size_t limit) {
  FacetResult result;
  for (const auto& [value, points] : counts) result.counts.push_back({value, points});
  std::stable_sort(result.counts.begin(), result.counts.end(),
                   [](const FacetCount& a, const FacetCount& b) { return a.points > b.points; });
  if (result.counts.size() > limit) result.counts.resize(limit);
  return result;
}

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

absl::StatusOr<FacetResult> Collection::Facet(const FacetRequest& request) const {
  if (std::string problem = request.key.Violation(); !problem.empty()) {
    return InvalidField("key", problem);
  }
  const auto now = view();
  const bool all = request.filter.empty();
  std::shared_ptr<const FilterMatches> matches;
  if (!all) {
    ASSIGN_OR_RETURN(matches, FindMatches(*now, request.filter));
  }
  std::map<FacetValue, uint64_t> counts;
  const auto field = now->indexes->fields.find(request.key.text());
  if (field != now->indexes->fields.end() && Counts(field->second)) {
    const PayloadIndexType type = field->second.index->spec().type;
    field->second.index->ForEachValue([&](const auto& value, const Posting& posting) {
      const uint64_t points = all ? posting.size() : posting.CountIn(matches->slots());
      if (points > 0) counts[ToFacetValue(type, value)] = points;
    });
    FacetResult result = MostFrequent(counts, request.limit);
    result.indexed = true;
    return result;
  }
  RETURN_IF_ERROR(ForEachPayload(nullptr, [&](Slot slot, const PointRecordView& record) {
    if (!all && !matches->slots().contains(slot)) return absl::OkStatus();
    for (FacetValue& value : FacetValuesOf(request.key, record.payload)) ++counts[std::move(value)];
    return absl::OkStatus();
  }));
  return MostFrequent(counts, request.limit);
}

}  // namespace tessera
