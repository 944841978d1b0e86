// Values of a payload field: how many points have each, and the nearest points of each.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

// A search for groups asks for this many hits of each group first, and for more times as many again
// while groups are not full.
constexpr size_t kHitsPerGroup = 4;
constexpr size_t kMoreHits = 4;

// The values of a field that can be counted or grouped by, each once.
std::vector<FacetValue> ValuesOf(const FieldPath& key, std::string_view payload) {
  std::vector<FacetValue> values;
  const nlohmann::json json = ParsePayload(payload);
  for (const nlohmann::json* value : key.Find(json).values) {
    if (value->is_string()) values.emplace_back(value->get<std::string>());
    if (value->is_boolean()) values.emplace_back(value->get<bool>());
    if (const auto integer = AsInteger(*value)) values.emplace_back(*integer);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

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
    for (FacetValue& value : ValuesOf(request.key, record.payload)) ++counts[std::move(value)];
    return absl::OkStatus();
  }));
  return MostFrequent(counts, request.limit);
}

absl::StatusOr<GroupsResult> Collection::SearchGroups(const GroupsRequest& request) const {
  if (std::string problem = request.group_by.Violation(); !problem.empty()) {
    return InvalidField("group_by", problem);
  }
  const size_t groups_max = request.search.limit;
  SearchRequest search = request.search;
  search.fields.payload = {.enabled = true};
  search.limit = std::min(limits::kSearchLimitMax, groups_max * request.group_size * kHitsPerGroup);
  while (true) {
    ASSIGN_OR_RETURN(SearchResult found, Search(search));
    if (found.hits.size() != 1) return InvalidField("search", "must have one query");
    GroupsResult result;
    result.element_type = found.element_type;
    std::map<FacetValue, size_t> places;
    size_t full = 0;
    for (Hit& hit : found.hits[0]) {
      const std::vector<FacetValue> values = ValuesOf(request.group_by, hit.payload);
      hit.payload = SelectPayload(hit.payload, request.search.fields.payload);
      for (const FacetValue& value : values) {
        const auto [place, added] = places.try_emplace(value, result.groups.size());
        if (added) result.groups.push_back({value, {}});
        if (place->second >= groups_max) continue;
        std::vector<Hit>& hits = result.groups[place->second].hits;
        if (hits.size() < request.group_size) hits.push_back(hit);
        full += hits.size() == request.group_size && hits.back().id == hit.id;
      }
    }
    if (result.groups.size() > groups_max) result.groups.resize(groups_max);
    const bool all_there = found.hits[0].size() < search.limit;
    if (full >= groups_max || all_there || search.limit == limits::kSearchLimitMax) return result;
    search.limit = std::min(limits::kSearchLimitMax, search.limit * kMoreHits);
  }
}

}  // namespace tessera
