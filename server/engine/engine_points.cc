// What reads and writes points: finds the collection, and asks it.
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/engine_impl.h"
#include "server/engine/errors.h"
#include "server/engine/request_checks.h"
#include "server/engine/search_parts.h"

namespace tessera {
namespace {

// Codes and vectors that a search reads, about.
constexpr size_t kSearchBytes = size_t{512} << 10;

}  // namespace

absl::StatusOr<WriteResult> EngineImpl::Upsert(const std::string& collection,
                                               const UpsertBatch& batch) {
  return WriteTo(collection, [&](Collection& found) { return found.Upsert(batch); });
}

absl::StatusOr<WriteResult> EngineImpl::DeletePoints(const std::string& collection,
                                                     const std::vector<PointId>& ids,
                                                     const WriteOptions& options) {
  return WriteTo(collection, [&](Collection& found) { return found.Delete(ids, options); });
}

absl::StatusOr<std::vector<PointData>> EngineImpl::GetPoints(const std::string& collection,
                                                             const std::vector<PointId>& ids,
                                                             const PointFields& fields,
                                                             ElementType* element_type) {
  if (ids.size() > limits::kIdsPerRequestMax) {
    return InvalidField("ids", absl::StrCat("has ", ids.size(), " ids; at most ",
                                            limits::kIdsPerRequestMax, " go into one request"));
  }
  return ReadFrom(collection, [&](const CollectionReader& found) {
    *element_type = found.spec().element_type;
    return found.Get(ids, fields);
  });
}

absl::StatusOr<uint64_t> EngineImpl::CountPoints(const std::string& collection,
                                                 const Filter& filter) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection, [&](const CollectionReader& found) { return found.Count(checked); });
}

absl::StatusOr<ScrollPage> EngineImpl::ScrollPoints(const std::string& collection, size_t page_size,
                                                    const std::string& page_token,
                                                    const Filter& filter, const PointFields& fields,
                                                    ElementType* element_type) {
  RETURN_IF_ERROR(CheckPageSize(page_size));
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection, [&](const CollectionReader& found) {
    *element_type = found.spec().element_type;
    return found.Scroll(page_size, page_token, checked, fields);
  });
}

absl::StatusOr<ScrollPage> EngineImpl::ScrollInOrder(const std::string& collection,
                                                     const ScrollOrder& order, size_t page_size,
                                                     const std::string& page_token,
                                                     const Filter& filter,
                                                     const PointFields& fields,
                                                     ElementType* element_type) {
  RETURN_IF_ERROR(CheckPageSize(page_size));
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection, [&](const CollectionReader& found) {
    *element_type = found.spec().element_type;
    return found.ScrollInOrder(order, page_size, page_token, checked, fields);
  });
}

absl::StatusOr<PointsCount> EngineImpl::EstimatePoints(const std::string& collection,
                                                       const Filter& filter) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return ReadFrom(collection,
                  [&](const CollectionReader& found) { return found.EstimateCount(checked); });
}

absl::StatusOr<WriteResult> EngineImpl::DeleteByFilter(const std::string& collection,
                                                       const Filter& filter,
                                                       const WriteOptions& options) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  if (TestsNothing(checked)) {
    return InvalidField("filter", "is empty; to delete all, delete the collection");
  }
  return WriteTo(collection,
                 [&](Collection& found) { return found.DeleteMatching(checked, options); });
}

absl::StatusOr<WriteResult> EngineImpl::EditPoints(const std::string& collection,
                                                   const std::vector<PointId>& ids,
                                                   const PointEdit& edit,
                                                   const WriteOptions& options) {
  return WriteTo(collection,
                 [&](Collection& found) { return found.EditPoints(ids, edit, options); });
}

absl::StatusOr<WriteResult> EngineImpl::EditByFilter(const std::string& collection,
                                                     const Filter& filter, const PointEdit& edit,
                                                     const WriteOptions& options) {
  ASSIGN_OR_RETURN(const Filter checked, CheckedFilter(filter));
  return WriteTo(collection,
                 [&](Collection& found) { return found.EditMatching(checked, edit, options); });
}

absl::StatusOr<WriteResult> EngineImpl::UpdateVectors(const std::string& collection,
                                                      const std::vector<PointId>& ids,
                                                      VectorsView vectors,
                                                      const WriteOptions& options) {
  return WriteTo(collection,
                 [&](Collection& found) { return found.UpdateVectors(ids, vectors, options); });
}

absl::StatusOr<RangeResult> EngineImpl::SearchRange(const RangeRequest& request) {
  RangeRequest checked = request;
  ASSIGN_OR_RETURN(checked.filter, CheckedFilter(request.filter));
  return ReadFrom(request.collection,
                  [&](const CollectionReader& found) { return found.SearchRange(checked); });
}

absl::StatusOr<GroupsResult> EngineImpl::SearchGroups(const GroupsRequest& request) {
  GroupsRequest checked = request;
  ASSIGN_OR_RETURN(checked.search.filter, CheckedFilter(request.search.filter));
  return ReadFrom(request.search.collection,
                  [&](const CollectionReader& found) { return found.SearchGroups(checked); });
}

absl::StatusOr<FacetResult> EngineImpl::Facet(const FacetRequest& request) {
  FacetRequest checked = request;
  ASSIGN_OR_RETURN(checked.filter, CheckedFilter(request.filter));
  return ReadFrom(request.collection,
                  [&](const CollectionReader& found) { return found.Facet(checked); });
}

absl::StatusOr<SearchResult> EngineImpl::Search(const SearchRequest& request) {
  const auto search = [](const SearchRequest& checked) {
    return [&checked](const CollectionReader& found) { return found.Search(checked); };
  };
  if (request.filter.empty()) {
    absl::StatusOr<SearchResult> result = ReadFrom(request.collection, search(request));
    if (recall_monitor_ != nullptr && recall_monitor_->wants_search() && result.ok()) {
      const auto collection = Find(request.collection);
      if (collection.ok()) recall_monitor_->Offer(*collection, request, result->report);
    }
    return result;
  }
  SearchRequest checked = request;
  ASSIGN_OR_RETURN(checked.filter, CheckedFilter(request.filter));
  return ReadFrom(request.collection, search(checked));
}

std::vector<absl::StatusOr<SearchResult>> EngineImpl::SearchEach(
    std::span<const SearchRequest> requests) {
  std::vector<absl::StatusOr<SearchResult>> results(requests.size(), absl::UnknownError(""));
  const auto search = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) results[i] = Search(requests[i]);
    return absl::OkStatus();
  };
  ForEachPart(options_.search_executor, requests.size(), kSearchBytes, search).IgnoreError();
  return results;
}

SearchPace EngineImpl::PaceOf(const SearchRequest& request) {
  const auto found = Find(request.collection);
  return found.ok() ? (*found)->PaceOf(request) : SearchPace::kSlow;
}

}  // namespace tessera
