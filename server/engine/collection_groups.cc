// The nearest points of each value of a payload field.
#include <algorithm>
#include <map>
#include <utility>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/base/stopwatch.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"
#include "server/engine/facet_values.h"

namespace tessera {
namespace {

// A search for groups asks for this many hits of each group first, and for more times as many again
// while groups are not full.
constexpr size_t kHitsPerGroup = 4;
constexpr size_t kMoreHits = 4;

// Adds what a further search of the same request took.
void AddReport(const SearchReport& more, SearchReport* sum) {
  sum->plan = more.plan;
  sum->lists_scanned += more.lists_scanned;
  sum->codes_scanned += more.codes_scanned;
  sum->candidates_refined += more.candidates_refined;
  sum->candidates_reranked += more.candidates_reranked;
  sum->payloads_read += more.payloads_read;
  for (const std::string& key : more.unindexed) {
    if (std::ranges::find(sum->unindexed, key) == sum->unindexed.end()) {
      sum->unindexed.push_back(key);
    }
  }
  sum->filter_us += more.filter_us;
  sum->search_us += more.search_us;
  sum->fetch_us += more.fetch_us;
  sum->table_ns += more.table_ns;
  sum->rerank_us += more.rerank_us;
  sum->bytes_read += more.bytes_read;
}

// Groups as they fill. Hits come nearest first, so that the first groups are the best.
class Groups {
 public:
  explicit Groups(const GroupsRequest& request) : request_(request) {}

  // Whether the hit belongs into a group that it was not in. Its payload has what it is grouped by,
  // and is not kept.
  bool Add(Hit hit) {
    const std::vector<FacetValue> values = FacetValuesOf(request_.group_by, hit.payload);
    hit.payload.clear();
    bool added = false;
    for (const FacetValue& value : values) {
      const auto [place, is_new] = places_.try_emplace(value, groups_.size());
      if (is_new) groups_.push_back({value, {}});
      if (place->second >= wanted()) continue;
      std::vector<Hit>& hits = groups_[place->second].hits;
      const auto same = [&](const Hit& other) { return other.id == hit.id; };
      if (IsFull(groups_[place->second]) || std::any_of(hits.begin(), hits.end(), same)) continue;
      hits.push_back(hit);
      added = true;
    }
    return added;
  }

  bool complete() const {
    return groups_.size() >= wanted() &&
           std::all_of(groups_.begin(), groups_.begin() + static_cast<std::ptrdiff_t>(wanted()),
                       [this](const HitGroup& group) { return IsFull(group); });
  }

  // Points that may be among what is missing.
  Filter Missing() const {
    std::vector<FacetValue> full;
    std::vector<FacetValue> others;
    for (size_t i = 0; i < std::min(groups_.size(), wanted()); ++i) {
      (IsFull(groups_[i]) ? full : others).push_back(groups_[i].value);
    }
    if (groups_.size() >= wanted()) return WithSomeOf(request_.group_by, others);
    return WithOthersThan(request_.group_by, full);
  }

  std::vector<HitGroup> Take() {
    if (groups_.size() > wanted()) groups_.resize(wanted());
    return std::move(groups_);
  }

 private:
  size_t wanted() const { return request_.search.limit; }
  bool IsFull(const HitGroup& group) const { return group.hits.size() >= request_.group_size; }

  const GroupsRequest& request_;
  std::vector<HitGroup> groups_;
  std::map<FacetValue, size_t> places_;
};

}  // namespace

absl::Status CollectionReader::FillGroups(const PointFields& fields,
                                          std::span<HitGroup> groups) const {
  std::vector<std::vector<Hit>> rows;
  for (HitGroup& group : groups) rows.push_back(std::move(group.hits));
  RETURN_IF_ERROR(FillFields(fields, /*may_wait=*/true, rows));
  for (size_t i = 0; i < groups.size(); ++i) groups[i].hits = std::move(rows[i]);
  return absl::OkStatus();
}

absl::StatusOr<GroupsResult> CollectionReader::SearchGroups(const GroupsRequest& request) const {
  if (std::string problem = request.group_by.Violation(); !problem.empty()) {
    return InvalidField("group_by", problem);
  }
  // Until the groups are filled: a slot that a search has found is given to no other point.
  const auto held = view();
  SearchRequest search = request.search;
  search.fields = {.payload = {.enabled = true, .include = {request.group_by}}};
  search.limit =
      std::min(limits::kSearchLimitMax, request.search.limit * request.group_size * kHitsPerGroup);
  Groups groups(request);
  GroupsResult result;
  for (bool first = true, narrowed = false;; first = false) {
    ASSIGN_OR_RETURN(SearchResult found, Search(search));
    if (found.hits.size() != 1) return InvalidField("search", "must have one query");
    if (first) {
      result.report = found.report;
    } else {
      AddReport(found.report, &result.report);
    }
    const bool all_there = found.hits[0].size() < search.limit;
    bool added = false;
    for (Hit& hit : found.hits[0]) added |= groups.Add(std::move(hit));
    const bool at_limit = search.limit == limits::kSearchLimitMax;
    if (groups.complete() || all_there || (at_limit && narrowed && !added)) {
      result.report.exhausted = all_there && found.report.exhausted;
      result.element_type = found.element_type;
      result.groups = groups.Take();
      Stopwatch stopwatch(search.explain);
      RETURN_IF_ERROR(FillGroups(request.search.fields, result.groups));
      result.report.fetch_us += stopwatch.LapUs();
      return result;
    }
    if (!at_limit) {
      search.limit = std::min(limits::kSearchLimitMax, search.limit * kMoreHits);
      continue;
    }
    // As many as one search may find, and of too few groups: look among what is missing.
    narrowed = true;
    search.filter = request.search.filter;
    search.filter.must.push_back({groups.Missing()});
  }
}

}  // namespace tessera
