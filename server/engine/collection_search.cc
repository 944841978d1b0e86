// Searching: through the inverted lists, or exactly over every vector.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/base/stopwatch.h"
#include "index/base/top_k.h"
#include "index/ivf/centroid_codes.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/convert.h"
#include "index/simd/exact.h"
#include "server/engine/collection_reader.h"
#include "server/engine/collection_vectors.h"
#include "server/engine/errors.h"
#include "server/engine/search_parts.h"

namespace tessera {
namespace {

// Rows compared with all queries before the next are touched: they stay in the first-level cache.
constexpr size_t kCompareRows = 128;
// Codes and vectors read by a search that counts as quick: a fraction of a millisecond.
constexpr size_t kQuickBytes = size_t{2} << 20;
// What else a query costs, its table and its hits, takes as long as so many bytes of them.
constexpr size_t kQueryBytes = size_t{16} << 10;
// The coarse step reads a code of half a byte for every four components of a centroid.
constexpr size_t kComponentsPerCodeByte = 8;
// A vector that is read from the page cache takes as long as so many bytes of them.
constexpr size_t kCachedRowBytes = size_t{8} << 10;

// What the request says, else what the collection says, else what the server has chosen.
uint64_t FirstSet(uint64_t requested, uint64_t configured, uint64_t chosen) {
  return requested != 0 ? requested : configured != 0 ? configured : chosen;
}

}  // namespace

IvfSearchParams CollectionReader::SearchParams(const SearchRequest& request,
                                               const CollectionView& view, size_t k) const {
  IvfSearchParams params;
  params.k = k;
  params.timed = request.explain;
  params.nprobe =
      FirstSet(request.nprobe, view.settings->index.default_nprobe, view.defaults.nprobe);
  const uint64_t chosen =
      FirstSet(request.rerank, view.settings->index.default_rerank, RerankFor(view.defaults, k));
  params.rerank = request.no_rerank ? 0 : std::max<uint64_t>(chosen, k);
  return params;
}

SearchPace CollectionReader::PaceOf(const SearchRequest& request) const {
  const bool reads_store = !request.ids.empty() || !request.positive.empty();
  if (reads_store || !request.filter.empty()) return SearchPace::kSlow;
  const std::shared_ptr<const CollectionView> now = view();
  if (request.target_recall.has_value()) return PaceIn(*now, WithDepth(*now, request));
  return PaceIn(*now, request);
}

SearchPace CollectionReader::PaceIn(const CollectionView& view,
                                    const SearchRequest& request) const {
  if (request.exact || view.codebook == nullptr) return SearchPace::kSlow;
  const IvfSearchParams params = SearchParams(request, view, request.offset + request.limit);
  const bool fills_from_disk = FillsFromDisk(request.fields);
  const size_t bytes =
      BytesOfQuery(view, params) + (fills_from_disk ? params.k * kCachedRowBytes : 0);
  if (request.vectors.rows * bytes > kQuickBytes) return SearchPace::kSlow;
  const bool reranks_on_disk = !vectors_in_memory() && params.rerank > 0;
  if (!reranks_on_disk && !fills_from_disk) return SearchPace::kQuick;
  if (reranks_on_disk && row_file_ == nullptr) return SearchPace::kSlow;
  if (fills_from_disk && !HasCopiesOf(request.fields)) return SearchPace::kSlow;
  return PaceOnDisk();
}

size_t CollectionReader::BytesOfQuery(const CollectionView& view,
                                      const IvfSearchParams& params) const {
  const size_t nlist = view.codebook->nlist();
  const size_t code_bytes = view.lists->tables().shape.block_bytes() / kLutScanBlockVectors;
  const size_t codes = std::min<size_t>(params.nprobe, nlist) * (view.lists->size() / nlist + 1);
  const size_t in_full =
      has_scalar_codes() ? std::min(params.rerank, kOpenTimes * params.k) : params.rerank;
  const size_t scalar_codes = has_scalar_codes() ? params.rerank * table_.row_bytes() : 0;
  // Of more centroids than that, only groups.
  const size_t coarse_step =
      std::min(nlist, CentroidCodes::kGroupedFrom) * spec_.dimension / kComponentsPerCodeByte;
  return kQueryBytes + coarse_step + codes * code_bytes + scalar_codes + in_full * BytesOfRow();
}

size_t CollectionReader::BytesOfRow() const {
  return vector_bytes() + (vectors_in_memory() ? 0 : kCachedRowBytes);
}

SearchPace CollectionReader::PaceOnDisk() const {
  if (searches_to_wait_.load(std::memory_order_relaxed) <= 0) return SearchPace::kQuickIfCached;
  searches_to_wait_.fetch_sub(1, std::memory_order_relaxed);
  return SearchPace::kSlow;
}

absl::StatusOr<SearchResult> CollectionReader::Search(const SearchRequest& request) const {
  if (request.cancelled != nullptr && request.cancelled->load(std::memory_order_relaxed)) {
    return CallCancelled();
  }
  RETURN_IF_ERROR(CheckSearch(request));
  const std::shared_ptr<const CollectionView> now = view();
  if (!request.target_recall.has_value()) return SearchView(*now, request);
  return SearchView(*now, WithDepth(*now, request));
}

absl::StatusOr<SearchResult> CollectionReader::SearchView(const CollectionView& view,
                                                          const SearchRequest& request) const {
  Matrix queries;
  RETURN_IF_ERROR(QueryMatrix(request, &queries));
  // Stored points that are searched for are not among the hits: look for as many more.
  const size_t left_out =
      request.ids.empty() ? request.positive.size() + request.negative.size() : 1;
  const size_t k = request.offset + request.limit + left_out;
  std::vector<std::vector<Neighbor>> found(queries.rows());
  SearchResult result;
  SearchReport& report = result.report;
  Stopwatch stopwatch(request.explain);
  // Several queries are worth finding what matches exactly.
  const bool may_estimate = !request.exact && view.lists != nullptr && queries.rows() == 1;
  ASSIGN_OR_RETURN(const std::shared_ptr<const FilterMatches> matches,
                   MatchesForSearch(view, request.filter, may_estimate, &stopwatch, &report));
  if (matches != nullptr) {
    RETURN_IF_ERROR(SearchFiltered(request, view, queries, k, *matches, found, &report));
  } else if (request.exact || view.codebook == nullptr) {
    Compared compared;
    RETURN_IF_ERROR(SearchExactly(ExecutorOf(request), view, queries, k, found, &compared));
    Report(compared, &report);
    report.exhausted = true;
  } else {
    RETURN_IF_ERROR(SearchLists(request, view, queries, k, found, &report));
  }
  report.search_us = stopwatch.LapUs();
  report.expected_recall = ExpectedRecall(request, view, report.plan);
  const bool by_lists =
      report.plan == SearchPlan::kLists || report.plan == SearchPlan::kMaskedLists;
  const bool from_codes = by_lists && request.no_rerank;
  result.element_type = spec_.element_type;
  std::vector<CodeBounds> by_code;
  for (size_t q = 0; from_codes && request.with_bounds && q < queries.rows(); ++q) {
    by_code.emplace_back(*view.lists, queries.row(q));
  }
  ToHits(request, found, !from_codes, by_code, &result);
  RETURN_IF_ERROR(FillFields(request.fields, request.may_wait, result.hits));
  report.fetch_us = stopwatch.LapUs();
  if (request.explain) Explain(view, &report);
  if (request.explain && by_lists) {
    const IvfSearchParams params = SearchParams(request, view, k);
    report.nprobe = static_cast<uint32_t>(std::min<size_t>(params.nprobe, view.codebook->nlist()));
    report.rerank = static_cast<uint32_t>(params.rerank);
  }
  return result;
}

absl::Status CollectionReader::SearchLists(const SearchRequest& request, const CollectionView& view,
                                           MatrixView queries, size_t k,
                                           std::span<std::vector<Neighbor>> results,
                                           SearchReport* report) const {
  const IvfSearchParams params = SearchParams(request, view, k);
  absl::Mutex mutex;
  IvfSearchStats stats;
  const auto search = [&](size_t begin, size_t end) {
    CollectionVectors vectors(*this, request.may_wait);
    IvfSearchStats of_part;
    const absl::Status status =
        SearchIvf(*view.lists, queries.Rows(begin, end - begin), params, *view.dead, &vectors,
                  results.subspan(begin, end - begin), &of_part);
    absl::MutexLock lock(&mutex);
    stats += of_part;
    return status;
  };
  // What an explanation says of times is of one thread.
  Executor* executor = request.explain ? nullptr : ExecutorOf(request);
  RETURN_IF_ERROR(ForEachPart(executor, queries.rows, BytesOfQuery(view, params), search));
  ReportLists(view, stats, queries.rows, report);
  return absl::OkStatus();
}

void CollectionReader::ReportLists(const CollectionView& view, const IvfSearchStats& stats,
                                   size_t queries, SearchReport* report) const {
  report->plan = SearchPlan::kLists;
  report->lists_scanned = stats.lists_scanned;
  report->codes_scanned = stats.codes_scanned;
  report->candidates_refined = stats.candidates_refined;
  report->candidates_reranked = stats.candidates_reranked;
  report->table_ns = stats.table_ns;
  report->rerank_us = stats.rerank_ns / 1'000;
  report->exhausted = stats.lists_scanned >= queries * view.codebook->nlist();
}

void CollectionReader::Explain(const CollectionView& view, SearchReport* report) const {
  report->explained = true;
  report->bytes_read = report->candidates_reranked * vector_bytes() +
                       report->candidates_refined * table_.row_bytes();
  if (view.lists == nullptr) return;
  const size_t code_bytes = view.lists->tables().shape.block_bytes() / kLutScanBlockVectors;
  report->bytes_read += report->codes_scanned * code_bytes;
}

absl::Status CollectionReader::SearchExactly(Executor* executor, const CollectionView& view,
                                             MatrixView queries, size_t k,
                                             std::span<std::vector<Neighbor>> results,
                                             Compared* compared) const {
  if (ScalarCodesLeaveFew(queries.rows, k)) {
    return SearchMatching(executor, queries, k, view.LiveSlots(view.slot_end), results, compared);
  }
  compared->in_full = queries.rows * points();
  const auto compare = [&](size_t begin, size_t end, std::span<const ExactScorer> scorers,
                           const DistanceVisitor& visit) {
    return CompareLiveRows(view, static_cast<Slot>(begin), static_cast<Slot>(end), scorers, visit);
  };
  return NearestOf(executor, view.slot_end, vector_bytes(), queries, k, compare, results);
}

absl::Status CollectionReader::CompareLiveRows(const CollectionView& view, Slot begin, Slot end,
                                               std::span<const ExactScorer> scorers,
                                               const DistanceVisitor& visit) const {
  std::vector<float> distances(kCompareRows);
  return ForEachLiveRow(view, begin, end, kCompareRows,
                        [&](std::span<const Slot> slots, const std::byte* rows) {
                          for (size_t q = 0; q < scorers.size(); ++q) {
                            scorers[q].ScoreContiguous(rows, slots.size(), distances.data());
                            visit(q, slots, distances.data());
                          }
                          return absl::OkStatus();
                        });
}

absl::Status CollectionReader::NearestOf(Executor* executor, size_t rows, size_t row_bytes,
                                         MatrixView queries, size_t k, const RowsComparer& compare,
                                         std::span<std::vector<Neighbor>> results) const {
  std::vector<ExactScorer> scorers;
  scorers.reserve(queries.rows);
  for (size_t q = 0; q < queries.rows; ++q) {
    scorers.emplace_back(spec_.metric, spec_.element_type, queries.row(q));
  }
  absl::Mutex mutex;
  std::vector<TopK> best;  // of the parts that have been compared
  const auto search = [&](size_t begin, size_t end) -> absl::Status {
    std::vector<TopK> of_part;
    of_part.reserve(queries.rows);
    for (size_t q = 0; q < queries.rows; ++q) of_part.emplace_back(k, ById());
    RETURN_IF_ERROR(compare(begin, end, scorers,
                            [&](size_t q, std::span<const Slot> slots, const float* distances) {
                              of_part[q].Push(distances, slots.data(), slots.size());
                            }));
    absl::MutexLock lock(&mutex);
    if (best.empty()) {
      best = std::move(of_part);
      return absl::OkStatus();
    }
    for (size_t q = 0; q < queries.rows; ++q) {
      for (const Neighbor& near : of_part[q].Take()) best[q].Push(near.distance, near.slot);
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachPart(executor, rows, queries.rows * row_bytes, search));
  for (size_t q = 0; q < queries.rows; ++q) results[q] = best[q].Take();
  return absl::OkStatus();
}

// Points that are equally far come in the order of their ids, also where a page ends among them.
TopK::TieOrder CollectionReader::ById() const {
  return [this](Slot a, Slot b) { return table_.id(a) < table_.id(b); };
}

// Of the exact score of a neighbour whose distance is an estimate, and of that estimate.
ScoreBounds CollectionReader::BoundsOf(const CodeBounds& by_code, const Neighbor& neighbor) const {
  const DistanceBounds bounds = by_code.OfSlot(neighbor.slot, table_.list(neighbor.slot));
  const float lower = std::min(bounds.lower, neighbor.distance);
  const float upper = std::max(bounds.upper, neighbor.distance);
  if (spec_.metric == Metric::kL2) return {lower, upper};
  return {-upper, -lower};
}

void CollectionReader::ToHits(const SearchRequest& request,
                              const std::vector<std::vector<Neighbor>>& found, bool exact,
                              std::span<const CodeBounds> by_code, SearchResult* result) const {
  const float sign = spec_.metric == Metric::kL2 ? 1.0f : -1.0f;
  const float farthest = request.score_threshold.has_value()
                             ? sign * *request.score_threshold
                             : std::numeric_limits<float>::infinity();
  absl::flat_hash_set<PointId> examples(request.positive.begin(), request.positive.end());
  examples.insert(request.negative.begin(), request.negative.end());
  const auto fetch_ids = [&](size_t q) {
    for (const Neighbor& neighbor : found[q]) table_.FetchAheadId(neighbor.slot);
  };
  result->hits.resize(found.size());
  if (!found.empty()) fetch_ids(0);
  for (size_t q = 0; q < found.size(); ++q) {
    if (q + 1 < found.size()) fetch_ids(q + 1);
    std::vector<Hit>& hits = result->hits[q];
    hits.reserve(found[q].size());
    for (const Neighbor& neighbor : found[q]) {
      Hit hit;
      hit.id = table_.id(neighbor.slot);
      hit.slot = neighbor.slot;
      hit.score = sign * neighbor.distance;
      hit.score_is_exact = exact;
      if (!request.ids.empty() && hit.id == request.ids[q]) continue;
      if (examples.contains(hit.id)) continue;
      if (sign * hit.score > farthest) continue;
      if (request.with_bounds) {
        hit.bounds = exact ? ScoreBounds{hit.score, hit.score} : BoundsOf(by_code[q], neighbor);
      }
      hits.push_back(std::move(hit));
    }
    const auto before = [sign](const Hit& a, const Hit& b) {
      if (a.score != b.score) return sign * a.score < sign * b.score;
      return a.id < b.id;
    };
    // They come nearest first: only those equally far may have to change places.
    if (!std::is_sorted(hits.begin(), hits.end(), before)) {
      std::stable_sort(hits.begin(), hits.end(), before);
    }
    hits.erase(hits.begin(),
               hits.begin() + static_cast<std::ptrdiff_t>(std::min(request.offset, hits.size())));
    if (hits.size() > request.limit) hits.resize(request.limit);
  }
}

}  // namespace tessera
