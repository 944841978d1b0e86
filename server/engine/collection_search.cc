// Searching: through the inverted lists, or exactly over every vector.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/base/top_k.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/convert.h"
#include "index/simd/exact.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

// Rows compared with all queries before the next are touched: they stay in the first-level cache.
constexpr size_t kExactBlockRows = 128;
// Codes and vectors read by a search that counts as quick: a fraction of a millisecond.
constexpr size_t kQuickBytes = size_t{2} << 20;

// What the request says, else what the collection says, else what the server has chosen.
uint64_t FirstSet(uint64_t requested, uint64_t configured, uint64_t chosen) {
  return requested != 0 ? requested : configured != 0 ? configured : chosen;
}

}  // namespace

// The vectors of a collection as the reranking step reads them.
class CollectionVectors final : public VectorSource {
 public:
  explicit CollectionVectors(const Collection& collection) : collection_(collection) {}

  ElementType element_type() const override { return collection_.spec_.element_type; }

  void Locate(std::span<const Slot> slots, const std::byte** rows) const override {
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = collection_.table_.vector(slots[i]);
  }

  absl::Status Read(std::span<const Slot> slots, std::byte* out, bool* found) const override {
    return collection_.ReadRows(slots, out, found);
  }

 private:
  const Collection& collection_;
};

absl::Status Collection::QueryMatrix(const SearchRequest& request, Matrix* queries) const {
  if (!request.ids.empty()) {
    ASSIGN_OR_RETURN(std::vector<PointData> points,
                     Get(request.ids, PointFields{.payload = false, .vector = true}));
    *queries = Matrix(request.ids.size(), spec_.dimension);
    for (size_t i = 0; i < request.ids.size(); ++i) {
      // Get leaves out what is missing: the first difference is the first missing one.
      if (i >= points.size() || points[i].id != request.ids[i]) {
        return NotFound("point", DescribePointId(ViewOf(request.ids[i])));
      }
      if (points[i].vector.size() != vector_bytes()) {
        return absl::DataLossError(absl::StrCat("collection ", spec_.name, ": the vector of point ",
                                                DescribePointId(ViewOf(points[i].id)),
                                                " has the wrong size"));
      }
      ToFloat(spec_.element_type, reinterpret_cast<const std::byte*>(points[i].vector.data()),
              spec_.dimension, queries->row(i).data());
    }
    return absl::OkStatus();
  }
  return WidenVectors(request.vectors, queries);
}

IvfSearchParams Collection::SearchParams(const SearchRequest& request, const CollectionView& view,
                                         size_t k) const {
  IvfSearchParams params;
  params.k = k;
  params.nprobe = FirstSet(request.nprobe, spec_.index.default_nprobe, view.defaults.nprobe);
  const uint64_t chosen =
      FirstSet(request.rerank, spec_.index.default_rerank, RerankFor(view.defaults, k));
  params.rerank = request.no_rerank ? 0 : std::max<uint64_t>(chosen, k);
  return params;
}

bool Collection::SearchIsQuick(const SearchRequest& request) const {
  const bool reads_store = !request.ids.empty() || request.fields.payload ||
                           request.fields.vector ||
                           (spec_.index.vectors == VectorPlacement::kDisk && !request.no_rerank);
  const std::shared_ptr<const CollectionView> now = view();
  if (request.exact || reads_store || now->codebook == nullptr || !request.filter.empty()) {
    return false;
  }
  const IvfSearchParams params = SearchParams(request, *now, request.limit);
  const size_t nlist = now->codebook->nlist();
  const size_t code_bytes = now->lists->tables().shape.block_bytes() / kLutScanBlockVectors;
  const size_t codes = std::min<size_t>(params.nprobe, nlist) * (now->lists->size() / nlist + 1);
  return request.vectors.rows * (codes * code_bytes + params.rerank * vector_bytes()) <=
         kQuickBytes;
}

absl::StatusOr<SearchResult> Collection::Search(const SearchRequest& request) const {
  const size_t queries_count = request.ids.empty() ? request.vectors.rows : request.ids.size();
  if (!request.ids.empty() && request.vectors.rows > 0) {
    return InvalidField("ids", "is filled beside vectors: fill one of the two");
  }
  if (request.limit == 0 || request.limit > limits::kSearchLimitMax) {
    return InvalidField("limit", absl::StrCat("is ", request.limit, "; 1 to ",
                                              limits::kSearchLimitMax, " are allowed"));
  }
  if (queries_count > limits::kSearchQueriesMax) {
    return InvalidField(request.ids.empty() ? "vectors" : "ids",
                        absl::StrCat("has ", queries_count, " queries; at most ",
                                     limits::kSearchQueriesMax, " go into one request"));
  }
  if (queries_count * request.limit > limits::kSearchResultsMax) {
    return InvalidField(
        "limit", absl::StrCat("times the number of queries is ", queries_count * request.limit,
                              "; at most ", limits::kSearchResultsMax, " is allowed"));
  }
  if (request.rerank > limits::kRerankMax) {
    return InvalidField("params.rerank", absl::StrCat("is ", request.rerank, "; at most ",
                                                      limits::kRerankMax, " is allowed"));
  }
  const std::shared_ptr<const CollectionView> now = view();
  Matrix queries;
  RETURN_IF_ERROR(QueryMatrix(request, &queries));
  // A stored point is not its own neighbour: look for one more and leave it out.
  const size_t k = request.limit + (request.ids.empty() ? 0 : 1);
  std::vector<std::vector<Neighbor>> found(queries.rows());
  bool exact = request.exact || now->codebook == nullptr;
  const bool rerank = !request.no_rerank;
  SearchResult result;
  if (!request.filter.empty()) {
    RETURN_IF_ERROR(SearchFiltered(request, *now, queries, k, found, &result.report));
    exact = result.report.plan == SearchPlan::kExactMatching;
  } else if (exact) {
    RETURN_IF_ERROR(SearchExactly(*now, queries, k, found));
  } else {
    CollectionVectors vectors(*this);
    IvfSearchStats stats;
    RETURN_IF_ERROR(SearchIvf(*now->lists, queries, SearchParams(request, *now, k), *now->dead,
                              &vectors, found, &stats));
    result.report.plan = SearchPlan::kLists;
    result.report.lists_scanned = stats.lists_scanned;
    result.report.codes_scanned = stats.codes_scanned;
    result.report.candidates_reranked = stats.candidates_reranked;
  }
  result.element_type = spec_.element_type;
  ToHits(request, found, exact || rerank, &result);
  RETURN_IF_ERROR(FillFields(request.fields, &result));
  return result;
}

absl::Status Collection::SearchExactly(const CollectionView& view, MatrixView queries, size_t k,
                                       std::span<std::vector<Neighbor>> results) const {
  std::vector<ExactScorer> scorers;
  std::vector<TopK> best;
  scorers.reserve(queries.rows);
  best.reserve(queries.rows);
  for (size_t q = 0; q < queries.rows; ++q) {
    scorers.emplace_back(spec_.metric, spec_.element_type, queries.row(q));
    best.emplace_back(k);
  }
  std::vector<float> distances(kExactBlockRows);
  RETURN_IF_ERROR(
      ForEachLiveRow(view, 0, view.slot_end, kExactBlockRows,
                     [&](std::span<const Slot> slots, const std::byte* rows) -> absl::Status {
                       for (size_t q = 0; q < queries.rows; ++q) {
                         scorers[q].ScoreContiguous(rows, slots.size(), distances.data());
                         best[q].Push(distances.data(), slots.data(), slots.size());
                       }
                       return absl::OkStatus();
                     }));
  for (size_t q = 0; q < queries.rows; ++q) results[q] = best[q].Take();
  return absl::OkStatus();
}

void Collection::ToHits(const SearchRequest& request,
                        const std::vector<std::vector<Neighbor>>& found, bool exact,
                        SearchResult* result) const {
  const float sign = spec_.metric == Metric::kL2 ? 1.0f : -1.0f;
  result->hits.resize(found.size());
  for (size_t q = 0; q < found.size(); ++q) {
    std::vector<Hit>& hits = result->hits[q];
    hits.reserve(found[q].size());
    for (const Neighbor& neighbor : found[q]) {
      Hit hit;
      hit.id = table_.id(neighbor.slot);
      hit.score = sign * neighbor.distance;
      hit.score_is_exact = exact;
      if (!request.ids.empty() && hit.id == request.ids[q]) continue;
      hits.push_back(std::move(hit));
    }
    std::stable_sort(hits.begin(), hits.end(), [sign](const Hit& a, const Hit& b) {
      if (a.score != b.score) return sign * a.score < sign * b.score;
      return a.id < b.id;
    });
    if (hits.size() > request.limit) hits.resize(request.limit);
  }
}

absl::Status Collection::FillFields(PointFields fields, SearchResult* result) const {
  if (!fields.payload && !fields.vector) return absl::OkStatus();
  // By id and not by slot: a point replaced meanwhile answers with what it holds now.
  std::vector<PointId> ids;
  for (const auto& hits : result->hits) {
    for (const Hit& hit : hits) ids.push_back(hit.id);
  }
  ASSIGN_OR_RETURN(std::vector<PointData> points, Get(ids, fields));
  size_t next = 0;
  for (auto& hits : result->hits) {
    for (Hit& hit : hits) {
      if (next >= points.size() || points[next].id != hit.id) continue;  // deleted meanwhile
      hit.payload = points[next].payload;
      hit.vector = points[next].vector;
      ++next;
    }
  }
  return absl::OkStatus();
}

}  // namespace tessera
