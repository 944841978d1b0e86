#include "index/ivf/searcher.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/base/buffer.h"
#include "index/base/memory_units.h"
#include "index/base/prefetch.h"
#include "index/base/status_macros.h"
#include "index/base/stopwatch.h"
#include "index/ivf/coarse_quantizer.h"
#include "index/ivf/entry_lanes.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/masked_scan.h"
#include "index/ivf/near_lists.h"
#include "index/ivf/query_scan.h"
#include "index/ivf/rerank.h"

namespace tessera {
namespace {

// One (query, list) pair of a batch.
struct Probe {
  uint32_t query;
  float rank;  // of the list: CoarseQuantizer::Nearest
};

// Queries that share a pass over the lists first settle their thresholds, each on its nearest
// lists, until it has met so many times the candidates that it keeps.
constexpr size_t kSettleTimes = 4;
// They share one if they probe a list each on average, and if what they would share is several
// times what each settles on. Else they cost more together than one after the other: the order of a
// shared pass is not the nearest first, and what all of them keep lies out of the first caches.
constexpr size_t kSharedTimes = 4 * kSettleTimes;
// Queries that go one after the other are prepared together.
constexpr size_t kQueriesAlone = 32;

// How far a masked search has come.
struct MaskedProgress {
  size_t scanned = 0;  // lists
  size_t met = 0;      // allowed slots
  size_t seen = 0;     // vectors of the lists
};

// Memory that a thread reuses from search to search.
struct Scratch {
  AlignedBuffer<uint8_t> tables;
  AlignedBuffer<float> distances;
  AlignedBuffer<Slot> slots;
  AlignedBuffer<float> prepared;    // queries, as the codebook sees them
  AlignedBuffer<float> for_tables;  // the queries as Codebook::ForTable has them
  AlignedBuffer<float> entries;     // tables before they become bytes
  std::vector<QueryScan> scans;
  std::vector<Neighbor> nearest;       // lists of each query: CoarseQuantizer::ToProbe
  std::vector<uint32_t> counts;        // of them
  std::vector<uint32_t> probe_begins;  // by list
  std::vector<Probe> probes;           // by list
  std::vector<uint32_t> probed;        // lists that have some
  std::vector<bool> list_scanned;      // of a masked search
  CoarseQuantizer::Scratch coarse;
  Reranker reranker;
};

// A search of some queries, small enough that their tables and candidates stay in cache.
class Batch {
 public:
  Batch(const ListsSnapshot& lists, MatrixView queries, const IvfSearchParams& params,
        const SlotSet& deleted, Scratch& scratch, IvfSearchStats* stats)
      : lists_(lists),
        queries_(queries),
        params_(params),
        deleted_(deleted),
        scratch_(scratch),
        stats_(stats),
        shape_(lists.tables().shape),
        nprobe_(Nprobe(lists, params)),
        stride_(lists.tables().coarse.MostToProbe(nprobe_)),
        keep_(Keep(lists, params)) {}

  void Scan() {
    Allocate();
    const MatrixView queries = Prepared();
    const MatrixView for_tables = ForTables(queries);
    if (IsMasked(params_)) {
      for (size_t q = 0; q < queries.rows; ++q) {
        BuildTable(queries.row(q), for_tables.row(q), q);
        ScanMasked(queries.row(q).data(), q);
        scratch_.scans[q].Finish();
      }
      return;
    }
    lists_.tables().coarse.ToProbe(queries.data, queries.rows, nprobe_, scratch_.coarse,
                                   scratch_.nearest.data(), scratch_.counts.data());
    for (size_t q = 0; q < queries.rows; ++q) {
      BuildTable(queries.row(q), for_tables.row(q), q);
    }
    if (SharesLists(lists_, params_, queries.rows)) {
      ScanShared();
    } else {
      for (size_t q = 0; q < queries.rows; ++q) ScanAlone(q);
    }
    for (QueryScan& scan : scans()) scan.Finish();
  }

  std::span<QueryScan> scans() { return {scratch_.scans.data(), queries_.rows}; }

  // How many of the `left` queries to search next.
  static size_t Queries(const ListsSnapshot& lists, const IvfSearchParams& params, size_t left) {
    constexpr size_t kQueriesTogether = 1024;
    constexpr size_t kScratchBytes = size_t{16} << 20;
    const size_t bytes = lists.tables().shape.tables_bytes() +
                         QueryScan::Capacity(Keep(lists, params)) * (sizeof(float) + sizeof(Slot)) +
                         lists.tables().coarse.MostToProbe(Nprobe(lists, params)) *
                             (sizeof(Neighbor) + sizeof(Probe));
    const size_t n = std::min(left, std::clamp<size_t>(kScratchBytes / bytes, 1, kQueriesTogether));
    return SharesLists(lists, params, n) ? n : std::min(n, kQueriesAlone);
  }

 private:
  static size_t Nprobe(const ListsSnapshot& lists, const IvfSearchParams& params) {
    return std::min(params.nprobe, lists.nlist());
  }

  // Candidates that a query keeps.
  static size_t Keep(const ListsSnapshot& lists, const IvfSearchParams& params) {
    const size_t wanted = std::max(params.k, params.rerank);
    return std::clamp<size_t>(wanted, 1, std::max<size_t>(lists.size(), 1));
  }

  static bool IsMasked(const IvfSearchParams& params) {
    return params.allowed != nullptr || params.filter != nullptr;
  }

  static bool SharesLists(const ListsSnapshot& lists, const IvfSearchParams& params, size_t rows) {
    const size_t nprobe = Nprobe(lists, params);
    const size_t scanned = nprobe * (lists.size() / lists.nlist());
    return rows > 1 && !IsMasked(params) && rows * nprobe >= lists.nlist() &&
           scanned >= kSharedTimes * Keep(lists, params);
  }

  void Allocate() {
    const size_t n = queries_.rows;
    // Whole cache lines per query.
    const size_t room = (QueryScan::Capacity(keep_) + 15) / 16 * 16;
    Grow(scratch_.tables, n * TableStride());
    Grow(scratch_.distances, n * room);
    Grow(scratch_.slots, n * room);
    Grow(scratch_.entries, shape_.tables_bytes());
    scratch_.nearest.resize(n * stride_);
    scratch_.counts.resize(n);
    if (scratch_.scans.size() < n) scratch_.scans.resize(n);
    for (size_t q = 0; q < n; ++q) {
      QueryScan& s = scratch_.scans[q];
      s.keep = keep_;
      s.scan.tables = scratch_.tables.data() + q * TableStride();
      s.scan.distances = scratch_.distances.data() + q * room;
      s.scan.slots = scratch_.slots.data() + q * room;
      s.Begin();
    }
  }

  size_t TableStride() const { return (shape_.tables_bytes() + 63) / 64 * 64; }

  // The queries as the codebook sees them.
  MatrixView Prepared() {
    Grow(scratch_.prepared, queries_.rows * queries_.cols);
    lists_.codebook().Prepare(queries_, scratch_.prepared.data());
    return {scratch_.prepared.data(), queries_.rows, queries_.cols};
  }

  // What lookup tables are made of: the prepared queries themselves where nothing is to be changed.
  MatrixView ForTables(MatrixView prepared) {
    const Codebook& codebook = lists_.codebook();
    const size_t cols = codebook.padded_dimension();
    if (codebook.rotation().is_none() && cols == prepared.cols) return prepared;
    Stopwatch stopwatch(params_.timed);
    Grow(scratch_.for_tables, prepared.rows * cols);
    codebook.ForTable(prepared, scratch_.for_tables.data());
    stats_->table_ns += stopwatch.LapNs();
    return {scratch_.for_tables.data(), prepared.rows, cols};
  }

  void BuildTable(std::span<const float> query, std::span<const float> for_table, size_t q) {
    Stopwatch stopwatch(params_.timed);
    QueryScan& s = scratch_.scans[q];
    s.list_weight = lists_.tables().coarse.Weight(query.data());
    const float factor = lists_.codebook().metric() == Metric::kL2 ? -2.0f : -1.0f;
    lists_.tables().lut.Build(for_table.data(), factor, scratch_.tables.data() + q * TableStride(),
                              &s.scan.scale, &s.constant, scratch_.entries.data());
    stats_->table_ns += stopwatch.LapNs();
  }

  // Before the i-th of `n` lists is scanned, of which list_at(j) is the j-th. Returns the one after
  // it, whose blocks are to be fetched meanwhile; null if there is none.
  template <class ListAt>
  const InvertedList* FetchAhead(size_t i, size_t n, const ListAt& list_at) {
    // Translations that are not at hand keep a processor waiting, unless it looks for several at
    // the same time.
    constexpr size_t kTogether = 8;
    const auto descriptors = [&](size_t begin, size_t end) {
      for (size_t j = begin; j < std::min(end, n); ++j) PrefetchDescriptor(lists_, list_at(j));
    };
    const auto pages = [&](size_t begin, size_t end) {
      for (size_t j = begin; j < std::min(end, n); ++j) {
        PrefetchPages(shape_, lists_.list(list_at(j)));
      }
    };
    if (i == 0) {
      descriptors(0, 2 * kTogether);
      pages(0, kTogether);
    }
    if (i % kTogether == 0) {
      descriptors(i + 2 * kTogether, i + 3 * kTogether);
      pages(i + kTogether, i + 2 * kTogether);
    }
    return i + 1 < n ? &lists_.list(list_at(i + 1)) : nullptr;
  }

  std::span<Neighbor> ListsOf(size_t q) {
    return {scratch_.nearest.data() + q * stride_, scratch_.counts[q]};
  }

  void ScanAlone(size_t q) {
    const std::span<const Neighbor> nearest = ListsOf(q);
    for (size_t i = 0; i < nearest.size(); ++i) {
      const InvertedList* const next =
          FetchAhead(i, nearest.size(), [&](size_t at) { return nearest[at].slot; });
      ScanOne(q, nearest[i], next);
    }
  }

  void SetOffset(const Neighbor& ranked, QueryScan* scan) const {
    scan->scan.offset = scan->constant + lists_.tables().coarse.Distance(ranked, scan->list_weight);
  }

  void ScanOne(size_t q, const Neighbor& list, const InvertedList* next) {
    const InvertedList& l = lists_.list(list.slot);
    QueryScan* scan = &scratch_.scans[q];
    SetOffset(list, scan);
    ScanList(shape_, l, next, &scan, 1, deleted_);
    stats_->lists_scanned += 1;
    stats_->codes_scanned += l.size;
  }

  // Scans the lists for the allowed slots alone, as MaskedSearchWidth says how many.
  void ScanMasked(const float* query, size_t q) {
    const SearchWidth width = MaskedSearchWidth(params_, lists_);
    std::vector<Neighbor>& nearest = scratch_.nearest;
    nearest.resize(std::max(nearest.size(), width.lists));
    lists_.tables().coarse.Nearest(query, 1, width.lists, scratch_.coarse, nearest.data());
    MaskedProgress progress;
    // The nprobe nearest, and then as many as what they hold asks for.
    Neighbor* const begin = nearest.data();
    Neighbor* const end = begin + width.lists;
    size_t lists = std::min(width.nprobe, width.lists);
    if (lists > CoarseQuantizer::kSortedFirst) {
      NearestFirst({begin + CoarseQuantizer::kSortedFirst, end},
                   lists - CoarseQuantizer::kSortedFirst);
    }
    ScanMaskedLists(q, {begin, lists}, width.allowed, &progress);
    if (lists < width.lists) {
      lists = std::max(lists, width.ListsAfter(progress.met, progress.seen));
      NearestFirst({begin + progress.scanned, end}, lists - progress.scanned);
      ScanMaskedLists(q, {begin + progress.scanned, begin + lists}, width.allowed, &progress);
    }
    if (params_.stop_against && width.Against(progress.met)) {
      scratch_.scans[q].scan.count = 0;
      ++stats_->queries_against;
    } else {
      ScanFurther(query, q, width.Wanted(progress.met), &progress);
    }
    const bool all = progress.met == width.allowed || progress.scanned == lists_.nlist();
    stats_->lists_scanned += progress.scanned;
    stats_->queries_exhausted += all ? 1 : 0;
  }

  // Scans more lists, nearest first, until `wanted` of the allowed slots have been met or no list
  // is left. The nearest of scratch_.nearest have been scanned.
  void ScanFurther(const float* query, size_t q, size_t wanted, MaskedProgress* progress) {
    std::vector<Neighbor>& nearest = scratch_.nearest;
    std::vector<bool>& scanned = scratch_.list_scanned;
    if (progress->met >= wanted) return;
    scanned.assign(lists_.nlist(), false);
    for (size_t i = 0; i < progress->scanned; ++i) scanned[nearest[i].slot] = true;
    while (progress->met < wanted && progress->scanned < lists_.nlist()) {
      // As many as it takes if the next lists hold as many of the allowed as those before, and a
      // quarter more: to find them costs less than to come back.
      const size_t before = progress->scanned;
      const double growth = 1.25 * static_cast<double>(wanted) /
                            static_cast<double>(std::max<size_t>(progress->met, 1));
      const auto lists =
          static_cast<size_t>(static_cast<double>(before) * std::clamp(growth, 1.5, 4.0));
      const size_t n = std::min(std::max(lists, before + 1), lists_.nlist());
      nearest.resize(std::max(nearest.size(), n));
      lists_.tables().coarse.Nearest(query, 1, n, scratch_.coarse, nearest.data());
      const auto rest = std::partition(nearest.data(), nearest.data() + n,
                                       [&](const Neighbor& l) { return scanned[l.slot]; });
      std::sort(rest, nearest.data() + n);
      ScanMaskedLists(q, {rest, nearest.data() + n}, wanted, progress);
      for (const Neighbor* l = rest; l < nearest.data() + n; ++l) scanned[l->slot] = true;
    }
  }

  // Scans lists until `wanted` of the allowed slots have been met in all.
  void ScanMaskedLists(size_t q, std::span<const Neighbor> lists, size_t wanted,
                       MaskedProgress* progress) {
    QueryScan& scan = scratch_.scans[q];
    for (size_t i = 0; i < lists.size() && progress->met < wanted; ++i) {
      const InvertedList* const next =
          FetchAhead(i, lists.size(), [&](size_t at) { return lists[at].slot; });
      if (next != nullptr) PrefetchBlocks(shape_, *next);
      if (params_.filter != nullptr && i + 2 < lists.size()) {
        PrefetchEntryCodes(*params_.filter, lists_, lists[i + 2].slot);
      }
      const InvertedList& list = lists_.list(lists[i].slot);
      SetOffset(lists[i], &scan);
      const MaskedScan found =
          params_.filter != nullptr
              ? ScanListFiltered(shape_, list, *params_.filter, deleted_, &scan)
              : ScanListMasked(shape_, list, *params_.allowed, &scan);
      progress->met += found.met;
      progress->seen += list.size;
      ++progress->scanned;
      stats_->codes_scanned += std::min<size_t>(found.blocks * kLutScanBlockVectors, list.size);
    }
  }

  // Scans the lists that many queries probe once for all of them. Each query's nearest lists come
  // first, which leaves it a threshold that few vectors of the other lists pass.
  void ScanShared() {
    std::vector<uint32_t>& begins = scratch_.probe_begins;
    begins.assign(lists_.nlist() + 1, 0);
    for (size_t q = 0; q < queries_.rows; ++q) {
      const std::span<Neighbor> lists = ListsOf(q);
      size_t i = 0;
      for (size_t scanned = 0; i < lists.size() && scanned < kSettleTimes * keep_; ++i) {
        const InvertedList* const next =
            FetchAhead(i, lists.size(), [&](size_t at) { return lists[at].slot; });
        scanned += lists_.list(lists[i].slot).size;
        ScanOne(q, lists[i], next);
        lists[i].slot = kInvalidSlot;
      }
      for (; i < lists.size(); ++i) ++begins[lists[i].slot + 1];
    }
    std::vector<uint32_t>& probed = scratch_.probed;
    probed.clear();
    for (uint32_t i = 0; i < lists_.nlist(); ++i) {
      if (begins[i + 1] > 0) probed.push_back(i);
      begins[i + 1] += begins[i];
    }
    scratch_.probes.resize(begins[lists_.nlist()]);
    for (size_t q = 0; q < queries_.rows; ++q) {
      for (const Neighbor& list : ListsOf(q)) {
        if (list.slot == kInvalidSlot) continue;
        // begins[list] moves to the end of the list's probes, which is where the next one's begin.
        scratch_.probes[begins[list.slot]++] = {static_cast<uint32_t>(q), list.distance};
      }
    }
    uint32_t begin = 0;
    for (size_t i = 0; i < probed.size(); ++i) {
      const InvertedList* const next =
          FetchAhead(i, probed.size(), [&](size_t at) { return probed[at]; });
      const uint32_t end = begins[probed[i]];
      ScanForProbes(probed[i], next, begin, end);
      begin = end;
    }
  }

  // Scans a list for scratch_.probes[begin, end).
  void ScanForProbes(size_t list, const InvertedList* next, size_t begin, size_t end) {
    const InvertedList& l = lists_.list(list);
    QueryScan* scans[kScanQueriesAtOnce];
    for (size_t at = begin; at < end; at += kScanQueriesAtOnce) {
      const size_t n = std::min(kScanQueriesAtOnce, end - at);
      for (size_t i = 0; i < n; ++i) {
        FetchForProbe(at + n + i);
        const Probe& probe = scratch_.probes[at + i];
        QueryScan& scan = scratch_.scans[probe.query];
        SetOffset({probe.rank, static_cast<Slot>(list)}, &scan);
        scans[i] = &scan;
      }
      ScanList(shape_, l, at == begin ? next : nullptr, scans, n, deleted_);
    }
    stats_->lists_scanned += end - begin;
    stats_->codes_scanned += (end - begin) * l.size;
  }

  // What the i-th probe needs of its query, and the one some probes behind it.
  void FetchForProbe(size_t i) {
    const std::vector<Probe>& probes = scratch_.probes;
    if (i + kScanQueriesAtOnce < probes.size()) {
      __builtin_prefetch(&scratch_.scans[probes[i + kScanQueriesAtOnce].query]);
    }
    if (i >= probes.size()) return;
    const LutScanQuery& scan = scratch_.scans[probes[i].query].scan;
    for (size_t at = 0; at < shape_.tables_bytes(); at += kCacheLineBytes) {
      __builtin_prefetch(scan.tables + at);
    }
    __builtin_prefetch(scan.distances + scan.count);
    __builtin_prefetch(scan.slots + scan.count);
  }

  const ListsSnapshot& lists_;
  MatrixView queries_;
  const IvfSearchParams& params_;
  const SlotSet& deleted_;
  Scratch& scratch_;
  IvfSearchStats* stats_;
  const LutScanShape& shape_;
  size_t nprobe_;
  size_t stride_;
  size_t keep_;
};

absl::Status CheckArguments(const ListsSnapshot& lists, MatrixView queries,
                            const IvfSearchParams& params, const VectorSource* vectors,
                            std::span<std::vector<Neighbor>> results) {
  if (params.k == 0) return absl::InvalidArgumentError("k must be at least 1");
  if (params.nprobe == 0) return absl::InvalidArgumentError("nprobe must be at least 1");
  if (queries.cols != lists.codebook().dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("queries have dimension ", queries.cols,
                                                   ", the codebook has ",
                                                   lists.codebook().dimension()));
  }
  if (results.size() != queries.rows) {
    return absl::InvalidArgumentError("results must have one entry per query");
  }
  if (params.rerank > 0 && vectors == nullptr) {
    return absl::InvalidArgumentError("rerank needs a source of vectors");
  }
  return absl::OkStatus();
}

}  // namespace

IvfSearchStats& IvfSearchStats::operator+=(const IvfSearchStats& other) {
  lists_scanned += other.lists_scanned;
  codes_scanned += other.codes_scanned;
  candidates_refined += other.candidates_refined;
  candidates_reranked += other.candidates_reranked;
  table_ns += other.table_ns;
  rerank_ns += other.rerank_ns;
  queries_against += other.queries_against;
  queries_exhausted += other.queries_exhausted;
  return *this;
}

absl::Status SearchIvf(const ListsSnapshot& lists, MatrixView queries,
                       const IvfSearchParams& params, const SlotSet& deleted,
                       const VectorSource* vectors, std::span<std::vector<Neighbor>> results,
                       IvfSearchStats* stats) {
  RETURN_IF_ERROR(CheckArguments(lists, queries, params, vectors, results));
  static thread_local Scratch scratch;
  IvfSearchStats ignored;
  if (stats == nullptr) stats = &ignored;
  for (size_t begin = 0; begin < queries.rows;) {
    const size_t n = Batch::Queries(lists, params, queries.rows - begin);
    const MatrixView rows = queries.Rows(begin, n);
    Batch batch(lists, rows, params, deleted, scratch, stats);
    batch.Scan();
    if (params.rerank > 0) {
      Stopwatch stopwatch(params.timed);
      RETURN_IF_ERROR(scratch.reranker.Rerank(lists.codebook(), params.k, rows, *vectors,
                                              batch.scans(), &stats->candidates_refined));
      for (const QueryScan& scan : batch.scans()) stats->candidates_reranked += scan.scan.count;
      stats->rerank_ns += stopwatch.LapNs();
    } else if (lists.codebook().metric() == Metric::kL2) {
      // An estimate can be below zero, a squared distance cannot.
      for (QueryScan& s : batch.scans()) {
        for (size_t i = 0; i < s.scan.count; ++i) {
          s.scan.distances[i] = std::max(s.scan.distances[i], 0.0f);
        }
      }
    }
    for (size_t q = 0; q < n; ++q) {
      Reranker::Best(params.k, batch.scans()[q], &results[begin + q]);
    }
    begin += n;
  }
  return absl::OkStatus();
}

}  // namespace tessera
