#include "server/rpc/search_handlers.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/answer_room.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_filter.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/points_handlers.h"

namespace tessera {
namespace {

void FromFacetValue(const FacetValue& value, v1::FacetValue* out) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    out->set_str(*text);
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    out->set_integer(*integer);
  } else {
    out->set_boolean(std::get<bool>(value));
  }
}

absl::Status WithinSearch(size_t i, const absl::Status& status) {
  return WithinField(absl::StrCat("searches[", i, "]"), status);
}

// How many of them may run before their hits are counted: one, or as many as cannot bring more than
// are allowed.
size_t SearchesAtOnce(std::span<const SearchRequest> searches) {
  size_t count = 0;
  size_t hits = 0;
  for (const SearchRequest& search : searches) {
    const size_t queries = std::max({size_t{1}, search.vectors.rows, search.ids.size()});
    hits += queries * std::min<size_t>(search.limit, limits::kSearchLimitMax);
    if (count > 0 && hits > limits::kSearchResultsMax) break;
    ++count;
  }
  return count;
}

}  // namespace

absl::Status HandleSearchBatch(Engine& engine, v1::SearchBatchRequest& request,
                               const std::atomic<bool>& cancelled,
                               v1::SearchBatchResponse* response) {
  if (request.searches().empty()) return InvalidField("searches", "is empty");
  RETURN_IF_ERROR(CheckAtMost("searches", static_cast<uint64_t>(request.searches_size()),
                              limits::kSearchBatchMax));
  AnswerRoom room;
  std::vector<SearchRequest> searches;
  for (v1::SearchRequest& one : *request.mutable_searches()) {
    if (one.collection_name().empty()) one.set_collection_name(request.collection_name());
    absl::StatusOr<SearchRequest> search = ParseSearch(engine, one);
    if (!search.ok()) return WithinSearch(searches.size(), search.status());
    search->fields.room = &room;
    search->cancelled = &cancelled;
    searches.push_back(*std::move(search));
  }
  size_t hits = 0;
  for (size_t begin = 0; begin < searches.size();) {
    const auto rest = std::span(searches).subspan(begin);
    auto results = engine.SearchEach(rest.first(SearchesAtOnce(rest)));
    for (size_t i = 0; i < results.size(); ++i) {
      if (!results[i].ok()) return WithinSearch(begin + i, results[i].status());
      for (const auto& row : results[i]->hits) hits += row.size();
      if (hits > limits::kSearchResultsMax) {
        return InvalidField("searches", absl::StrCat("bring more than ", limits::kSearchResultsMax,
                                                     " hits together"));
      }
      FromSearchResult(*std::move(results[i]), response->add_responses());
    }
    begin += results.size();
  }
  return absl::OkStatus();
}

absl::Status HandleSearchRange(Engine& engine, v1::SearchRangeRequest& request,
                               v1::SearchRangeResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionSpec spec, engine.DescribeCollection(request.collection_name()));
  ASSIGN_OR_RETURN(const RangeRequest range, ToRangeRequest(request, spec));
  ASSIGN_OR_RETURN(RangeResult result, engine.SearchRange(range));
  FromRangeResult(std::move(result), response);
  return absl::OkStatus();
}

absl::Status HandleSearchGroups(Engine& engine, v1::SearchGroupsRequest& request,
                                const std::atomic<bool>& cancelled,
                                v1::SearchGroupsResponse* response) {
  if (request.group_size() == 0 || request.group_size() > limits::kGroupSizeMax) {
    return InvalidField("group_size", absl::StrCat("is ", request.group_size(), ", must be 1 to ",
                                                   limits::kGroupSizeMax));
  }
  if (request.search().offset() > 0) return InvalidField("search.offset", "must be 0");
  GroupsRequest groups;
  absl::StatusOr<SearchRequest> search = ParseSearch(engine, request.search());
  if (!search.ok()) return WithinField("search", search.status());
  groups.search = *std::move(search);
  groups.search.cancelled = &cancelled;
  const bool recommend = !groups.search.positive.empty();
  if (!recommend && groups.search.ids.size() + groups.search.vectors.rows != 1) {
    return InvalidField("search", "must have one query");
  }
  groups.group_by = FieldPath(request.group_by());
  groups.group_size = request.group_size();
  absl::StatusOr<GroupsResult> result = engine.SearchGroups(groups);
  if (!result.ok()) {
    const bool of_search = GetStatusDetails(result.status()).field != "group_by";
    return of_search ? WithinField("search", result.status()) : result.status();
  }
  FromGroupsReport(result->report, response);
  for (HitGroup& group : result->groups) {
    v1::PointGroup* out = response->add_groups();
    FromFacetValue(group.value, out->mutable_value());
    for (Hit& hit : group.hits) FromHit(std::move(hit), result->element_type, out->add_hits());
  }
  return absl::OkStatus();
}

absl::Status HandleFacet(Engine& engine, v1::FacetRequest& request, v1::FacetResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  RETURN_IF_ERROR(CheckAtMost("limit", request.limit(), limits::kPageSizeMax));
  FacetRequest facet;
  facet.collection = request.collection_name();
  facet.key = FieldPath(request.key());
  ASSIGN_OR_RETURN(facet.filter, ToFilter(request.filter(), "filter"));
  facet.limit = request.limit() == 0 ? limits::kPageSizeDefault : request.limit();
  facet.page_token = request.page_token();
  ASSIGN_OR_RETURN(FacetResult result, engine.Facet(facet));
  for (const FacetCount& count : result.counts) {
    v1::FacetHit* hit = response->add_hits();
    FromFacetValue(count.value, hit->mutable_value());
    hit->set_points(count.points);
  }
  response->set_indexed(result.indexed);
  response->set_next_page_token(std::move(result.next_page_token));
  return absl::OkStatus();
}

}  // namespace tessera
