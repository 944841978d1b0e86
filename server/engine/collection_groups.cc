// The nearest points of each value of a payload field.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_set.h"
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
// And so many times the lists, where those that it has gone through hold no more.
constexpr size_t kMoreLists = 4;

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

// Groups of what searches have found so far: all hits together, nearest first, since a search that
// goes deeper may find nearer ones than the one before.
class Groups {
 public:
  Groups(const GroupsRequest& request, Metric metric) : request_(request), metric_(metric) {}

  // What one more search has found, whose payloads have what hits are grouped by. Whether the
  // groups hold more than before.
  bool Add(std::vector<Hit> hits) {
    const size_t before = held_;
    absl::flat_hash_set<PointId> ids;
    for (const Hit& hit : hits) ids.insert(hit.id);
    // A point that has been replaced meanwhile is where it is now.
    std::erase_if(found_, [&](const Found& known) { return ids.contains(known.hit.id); });
    for (Hit& hit : hits) {
      std::vector<FacetValue> values = FacetValuesOf(request_.group_by, hit.payload);
      hit.payload.clear();
      if (!values.empty()) found_.push_back({std::move(hit), std::move(values)});
    }
    std::sort(found_.begin(), found_.end(), [this](const Found& a, const Found& b) {
      if (a.hit.score == b.hit.score) return a.hit.id < b.hit.id;
      return metric_ == Metric::kL2 ? a.hit.score < b.hit.score : a.hit.score > b.hit.score;
    });
    Fill();
    return held_ > before;
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

  // Where a search for all that is missing finds only what is known: points of further groups, or
  // of one group that is not full. `used_up`: the search for the part before has found all of it.
  // Each part once; none if there are no more.
  struct Part {
    Filter filter;
    size_t limit = 0;  // hits that it takes
  };
  std::optional<Part> NextPart(bool used_up) {
    no_more_groups_ = no_more_groups_ || (asked_for_more_groups_ && used_up);
    asked_for_more_groups_ = groups_.size() < wanted() && !no_more_groups_;
    if (asked_for_more_groups_) {
      std::vector<FacetValue> known;
      for (const HitGroup& group : groups_) known.push_back(group.value);
      return Part{WithOthersThan(request_.group_by, known), limits::kSearchLimitMax};
    }
    for (size_t i = 0; i < std::min(groups_.size(), wanted()); ++i) {
      if (IsFull(groups_[i]) || !asked_for_.insert(groups_[i].value).second) continue;
      return Part{WithSomeOf(request_.group_by, {groups_[i].value}), request_.group_size};
    }
    return std::nullopt;
  }

  std::vector<HitGroup> Take() {
    if (groups_.size() > wanted()) groups_.resize(wanted());
    return std::move(groups_);
  }

 private:
  struct Found {
    Hit hit;
    std::vector<FacetValue> values;
  };

  void Fill() {
    groups_.clear();
    held_ = 0;
    std::map<FacetValue, size_t> places;
    for (const Found& found : found_) {
      for (const FacetValue& value : found.values) {
        const auto [place, is_new] = places.try_emplace(value, groups_.size());
        if (is_new) groups_.push_back({value, {}});
        if (place->second >= wanted() || IsFull(groups_[place->second])) continue;
        groups_[place->second].hits.push_back(found.hit);
        ++held_;
      }
    }
  }

  size_t wanted() const { return request_.search.limit; }
  bool IsFull(const HitGroup& group) const { return group.hits.size() >= request_.group_size; }

  const GroupsRequest& request_;
  const Metric metric_;
  std::vector<Found> found_;  // nearest first, each point once
  std::vector<HitGroup> groups_;
  size_t held_ = 0;                     // hits in groups
  bool asked_for_more_groups_ = false;  // by the last part
  bool no_more_groups_ = false;
  std::set<FacetValue> asked_for_;  // groups that have been a part
};

// What the searches for groups look among.
enum class Reach {
  kAll,      // what the request asks for
  kMissing,  // of it, what may be among what is missing
  kParts,    // of that, one part after the other
};

// What the last of them has found.
struct Outcome {
  bool used_up = false;  // all that it has looked among
  bool added = false;    // something that the groups hold
  const SearchReport& report;
};

// Makes `search` one that may find what is missing; false if there is none.
bool LookFurther(const GroupsRequest& request, size_t nlist, const Outcome& last, Groups* groups,
                 Reach* reach, SearchRequest* search) {
  if (*reach == Reach::kAll && last.used_up) {
    // As many lists as a search asks for are what it gets; one with a filter goes as deep as it
    // must.
    if (last.report.exhausted || !search->filter.empty() || request.search.nprobe != 0 ||
        search->nprobe >= nlist) {
      return false;
    }
    const uint64_t lists = std::max<uint64_t>(last.report.lists_scanned, search->nprobe);
    search->nprobe =
        static_cast<uint32_t>(std::clamp<uint64_t>(kMoreLists * lists, kMoreLists, nlist));
    search->target_recall.reset();
    return true;
  }
  if (*reach == Reach::kAll && search->limit < limits::kSearchLimitMax) {
    search->limit = std::min(limits::kSearchLimitMax, search->limit * kMoreHits);
    return true;
  }
  search->filter = request.search.filter;
  if (*reach == Reach::kMissing && last.used_up) return false;
  if (*reach == Reach::kAll || (*reach == Reach::kMissing && last.added)) {
    *reach = Reach::kMissing;
    search->filter.must.push_back({groups->Missing()});
    return true;
  }
  *reach = Reach::kParts;
  std::optional<Groups::Part> part = groups->NextPart(last.used_up);
  if (!part.has_value()) return false;
  search->filter.must.push_back({std::move(part->filter)});
  search->limit = part->limit;
  return true;
}

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
  const size_t nlist = held->codebook == nullptr ? 0 : held->codebook->nlist();
  Groups groups(request, spec_.metric);
  Reach reach = Reach::kAll;
  GroupsResult result;
  for (bool first = true;; first = false) {
    ASSIGN_OR_RETURN(SearchResult found, Search(search));
    if (found.hits.size() != 1) return InvalidField("search", "must have one query");
    if (first) {
      result.report = found.report;
    } else {
      AddReport(found.report, &result.report);
    }
    const bool used_up = found.hits[0].size() < search.limit;
    const Outcome last = {used_up, groups.Add(std::move(found.hits[0])), found.report};
    if (!groups.complete() && LookFurther(request, nlist, last, &groups, &reach, &search)) continue;
    result.report.exhausted = used_up && found.report.exhausted;
    result.element_type = found.element_type;
    result.groups = groups.Take();
    Stopwatch stopwatch(search.explain);
    RETURN_IF_ERROR(FillGroups(request.search.fields, result.groups));
    result.report.fetch_us += stopwatch.LapUs();
    return result;
  }
}

}  // namespace tessera
