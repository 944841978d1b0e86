#ifndef TESSERA_SERVER_ENGINE_COLLECTION_READER_H_
#define TESSERA_SERVER_ENGINE_COLLECTION_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/base/top_k.h"
#include "index/ivf/code_bounds.h"
#include "index/ivf/searcher.h"
#include "index/simd/exact.h"
#include "server/engine/calibration.h"
#include "server/engine/collection_view.h"
#include "server/engine/filter_cache.h"
#include "server/engine/payload_copy.h"
#include "server/engine/records.h"
#include "server/engine/slot_table.h"
#include "server/engine/types.h"
#include "server/engine/verified_recall.h"
#include "server/filter/payload_indexes.h"
#include "server/storage/row_files.h"
#include "server/storage/store.h"

namespace tessera {

class Stopwatch;

// What a collection answers: points, searches, counts. Each loads a view and takes no lock. What
// belongs to writers alone is out of its reach.
//
// Thread-safe. The store and the executor must outlive it.
class CollectionReader {
 public:
  // What never changes: name, dimension, metric and element type. The rest is in the settings.
  const CollectionSpec& spec() const { return spec_; }
  uint32_t id() const { return id_; }
  uint64_t points() const { return points_.load(std::memory_order_relaxed); }

  absl::StatusOr<std::vector<PointData>> Get(const std::vector<PointId>& ids,
                                             const PointFields& fields) const;
  // A page may be short of `page_size` before the last one: a page looks at a bounded number of
  // points.
  absl::StatusOr<ScrollPage> ScrollInOrder(const ScrollOrder& order, size_t page_size,
                                           const std::string& page_token, const Filter& filter,
                                           const PointFields& fields) const;
  absl::StatusOr<ScrollPage> Scroll(size_t page_size, const std::string& page_token,
                                    const Filter& filter, const PointFields& fields) const;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) const;
  absl::StatusOr<RangeResult> SearchRange(const RangeRequest& request) const;
  absl::StatusOr<FacetResult> Facet(const FacetRequest& request) const;
  absl::StatusOr<GroupsResult> SearchGroups(const GroupsRequest& request) const;
  // As Engine::PaceOf.
  SearchPace PaceOf(const SearchRequest& request) const;
  // Runs one query (its request has no filter) as it says and exactly, in the thread that calls,
  // and remembers how much of the exact answer it finds.
  absl::Status VerifySearch(const SearchRequest& request) const;
  bool CanVerify() const;
  // How many points match.
  absl::StatusOr<uint64_t> Count(const Filter& filter) const;
  // The same, or about as many where that takes long: by what indexes know, and a sample.
  absl::StatusOr<PointsCount> EstimateCount(const Filter& filter) const;

 protected:
  friend class CollectionVectors;

  // `record` is in the store already. `payload_copy_due` is called by searches, and must not block:
  // so many have read payloads from the store that a copy of them is worth its room.
  CollectionReader(Store& store, Executor* search_executor, const CatalogRecord& record,
                   std::function<void()> payload_copy_due);
  ~CollectionReader() = default;

  // Called with slots and their vectors, one after the other; a Status that is not OK ends the
  // walk.
  using RowVisitor = std::function<absl::Status(std::span<const Slot>, const std::byte* rows)>;
  // The same with one of the points that are read, by its number among them.
  using PointVisitor = std::function<absl::Status(size_t i, const PointRecordView& record)>;

  size_t vector_bytes() const { return spec_.dimension * ElementSize(spec_.element_type); }
  bool vectors_in_memory() const { return placement_ == VectorPlacement::kMemory; }
  // Where most candidates are told apart without a read.
  bool compares_in_memory() const { return placement_ != VectorPlacement::kDisk; }
  // By scalar codes, vectors that may be among the k nearest are about so many times k.
  static constexpr size_t kOpenTimes = 2;
  bool has_scalar_codes() const { return placement_ == VectorPlacement::kDiskSq8; }
  std::shared_ptr<const CollectionView> view() const { return view_.load(); }

  // Reads (collection_read.cc).
  // Vectors of a request as floats. INVALID_ARGUMENT for the field if there are none, or they have
  // another dimension than the collection, are not finite or over limits::kComponentMax.
  absl::Status WidenVectors(VectorsView vectors, const char* field, Matrix* floats) const;
  absl::Status FindSlots(const std::vector<PointId>& ids, std::vector<Slot>* slots) const;
  absl::Status FindStoredSlots(const std::vector<PointId>& ids, std::vector<Slot>* slots) const;
  // Calls found(i, record) for every slots[i] whose record is there, up to the first error. A
  // slot's record never changes, so that it matters not that they are read in steps.
  absl::Status ReadPoints(std::span<const Slot> slots, const PointVisitor& found) const;
  // Copies the vectors of `slots`, which have points in a view that the caller holds. A point that
  // has been replaced since may give its new vector; found[i] is false if it has been deleted.
  absl::Status ReadRows(std::span<const Slot> slots, std::byte* out, bool* found) const;
  absl::Status ForEachLiveRow(const CollectionView& view, Slot begin, Slot end, size_t rows_max,
                              const RowVisitor& visitor) const;
  // The records of all points, and a walk over them. There are some of the leftover slots, too.
  std::unique_ptr<StoreIterator> ScanPoints() const;
  absl::Status ForEachPayload(
      StoreIterator& records,
      const std::function<absl::Status(Slot, const PointRecordView&)>& visitor) const;
  // The same, with a view that tells which of these slots are leftover.
  struct PointScan {
    std::unique_ptr<StoreIterator> records;
    std::shared_ptr<const CollectionView> view;
  };
  PointScan ScanPointsInView() const;
  absl::StatusOr<std::vector<PointId>> MatchingIds(const Filter& filter) const;
  // With may_estimate, a filter that is asked for the first time may get an estimate and codes.
  absl::StatusOr<std::shared_ptr<const FilterMatches>> FindMatches(const CollectionView& view,
                                                                   const Filter& filter,
                                                                   bool may_estimate = false) const;
  // Called with the distances of query q from some of the slots.
  using DistanceVisitor =
      std::function<void(size_t q, std::span<const Slot> block, const float* distances)>;
  absl::Status CompareLiveRows(const CollectionView& view, Slot begin, Slot end,
                               std::span<const ExactScorer> scorers,
                               const DistanceVisitor& visit) const;
  // Equally near ones come by id.
  TopK::TieOrder ById() const;
  // What the recall that searches ask for is chosen by.
  Calibration::Choice ChoiceIn(const CollectionView& view) const;

  // Whether searches have asked for so many payloads that these are to be copied.
  bool IsPayloadCopyWanted() const;

  // What searches need. Collection alone writes to it, in its queue's turn.
  Store& store_;
  Executor* const search_executor_;
  const uint32_t id_;
  const CollectionSpec spec_;
  const VectorPlacement placement_;  // a change of settings comes with the next start
  SlotTable table_;
  std::unique_ptr<RowFile> row_file_;  // null where there is none; never changes once open
  std::atomic<PayloadCopy*> payload_copy_{nullptr};  // null before it is made, and then the same
  std::atomic<uint64_t> points_{0};
  std::atomic<uint64_t> newest_commit_{0};  // where a commit goes to that may have begun
  std::atomic<std::shared_ptr<const CollectionView>> view_;
  std::atomic<const Codebook*> lists_codebook_{nullptr};  // whose lists the slots in table_ have
  mutable FilterCache filter_cache_;
  mutable VerifiedRecall verified_;

 private:
  // Reads (collection_read.cc).
  // Of the ids that have points in a view which the caller holds, in any order.
  absl::StatusOr<std::vector<Slot>> SlotsInView(const CollectionView& view,
                                                const std::vector<PointId>& ids) const;
  // Calls found(i, record) for every ids[i] that exists.
  absl::Status ReadByIds(const std::vector<PointId>& ids, const PointVisitor& found) const;
  // Of the points with these ids those that match.
  absl::StatusOr<std::vector<PointData>> GetMatching(const std::vector<PointId>& ids,
                                                     const Filter& filter,
                                                     const PointFields& fields) const;
  // DATA_LOSS: the slot's record is of another point.
  absl::Status WrongPoint(const PointId& id, Slot slot, const PointRecordView& record) const;
  // Calls found(i, record) for every slots[i], of a view that the caller holds, whose point is
  // there; one that has been replaced since gives its new record.
  absl::Status ReadSlotsOrIds(std::span<const Slot> slots, const PointVisitor& found) const;
  // Of a search that reads row files.
  SearchPace PaceOnDisk() const;
  // As ReadRows without waiting for the disk; MustWaitError() if that cannot be.
  absl::Status ReadCachedRows(std::span<const Slot> slots, std::byte* out, bool* found) const;
  // From memory or the row file; found[i] is false for what is not there. False if it may not wait,
  // and would have to.
  bool CopyVectors(std::span<const Slot> slots, bool may_wait, std::byte* out, bool* found) const;
  // MustWaitError(), and for a while other searches are not tried without waiting.
  absl::Status MustWait() const;
  absl::Status ReadAbsentRows(std::span<const Slot> slots, std::byte* out, bool* found) const;
  absl::Status VisitMissed(std::span<const Slot> missed, size_t rows_max,
                           const RowVisitor& visitor) const;
  absl::Status ForEachRowOnDisk(const CollectionView& view, Slot begin, Slot end, size_t rows_max,
                                const RowVisitor& visitor) const;

  // Filters (collection_filter.cc).
  absl::StatusOr<std::vector<PointId>> NextMatchingIds(const Filter& filter, std::string* begin,
                                                       const std::string& end,
                                                       size_t ids_max) const;
  absl::StatusOr<IndexedAnswer> AnswerFilter(const CollectionView& view,
                                             const Filter& filter) const;
  absl::StatusOr<std::shared_ptr<const FilterMatches>> ComputeMatches(const CollectionView& view,
                                                                      const Filter& filter,
                                                                      bool may_estimate) const;
  absl::Status CheckPayloads(const CollectionView& view, const Filter& filter, const Roaring& open,
                             Roaring* matching) const;
  // FindMatches for a search, with what they are in its report; null if it has no filter.
  absl::StatusOr<std::shared_ptr<const FilterMatches>> MatchesForSearch(const CollectionView& view,
                                                                        const Filter& filter,
                                                                        bool may_estimate,
                                                                        Stopwatch* stopwatch,
                                                                        SearchReport* report) const;

  // HIT
  // What searches answer with beside ids and scores (collection_hit_fields.cc).
  // Whether these are not in memory, and then, whether the copies have them.
  bool FillsFromDisk(const PointFields& fields) const;
  bool HasCopiesOf(const PointFields& fields) const;
  // Fills in what memory and the copies have; the hits of which only the store has all.
  absl::StatusOr<std::vector<Hit*>> FillFromCopies(const PointFields& fields, bool may_wait,
                                                   std::span<Hit* const> hits) const;
  absl::Status FillFromStore(const PointFields& fields, std::span<Hit* const> hits) const;
  absl::Status FillSome(const PointFields& fields, bool may_wait, std::span<Hit* const> hits) const;
  // Of hits in a view that the caller holds. If it may not wait, MustWaitError() where it would;
  // RESPONSE_TOO_LARGE where the answer has no room for them.
  absl::Status FillFields(const PointFields& fields, bool may_wait,
                          std::span<std::vector<Hit>> rows) const;
  absl::Status FillGroups(const PointFields& fields, std::span<HitGroup> groups) const;

  // Searches among what matches a filter (collection_filtered_search.cc).
  absl::Status SearchFiltered(const SearchRequest& request, const CollectionView& view,
                              MatrixView queries, size_t k, const FilterMatches& matches,
                              std::span<std::vector<Neighbor>> results, SearchReport* report) const;
  bool GatheringReadsLess(const CollectionView& view, const FilterMatches& matches) const;
  absl::Status SearchMasked(const CollectionView& view, MatrixView queries, IvfSearchParams params,
                            const FilterMatches& matches, bool keep,
                            std::span<std::vector<Neighbor>> results, SearchReport* report) const;
  std::shared_ptr<const SlotsByList> MatchesByList(const CollectionView& view,
                                                   const FilterMatches& matches) const;
  absl::StatusOr<bool> SearchGathered(const CollectionView& view, MatrixView queries,
                                      const IvfSearchParams& params, const FilterMatches& matches,
                                      bool sort, std::span<std::vector<Neighbor>> results,
                                      SearchReport* report) const;
  absl::Status SearchCoded(const CollectionView& view, MatrixView queries,
                           const IvfSearchParams& params, const FilterMatches& matches,
                           std::span<std::vector<Neighbor>> results, SearchReport* report) const;
  bool HasListsOf(const CollectionView& view) const;
  // Vectors that queries were compared with.
  struct Compared {
    uint64_t by_code = 0;  // scalar codes
    uint64_t in_full = 0;
    Compared& operator+=(const Compared& other) {
      by_code += other.by_code;
      in_full += other.in_full;
      return *this;
    }
  };
  static void Report(const Compared& compared, SearchReport* report) {
    report->candidates_refined += compared.by_code;
    report->candidates_reranked += compared.in_full;
  }
  absl::Status SearchMatching(Executor* executor, MatrixView queries, size_t k,
                              std::span<const Slot> slots, std::span<std::vector<Neighbor>> results,
                              Compared* compared) const;
  absl::Status CompareSlots(std::span<const ExactScorer> scorers, std::span<const Slot> slots,
                            const DistanceVisitor& visit) const;
  bool ScalarCodesLeaveFew(size_t queries, size_t k) const;
  absl::Status CompareOpenSlots(MatrixView queries, size_t k, std::span<const Slot> slots,
                                std::span<const ExactScorer> scorers, const DistanceVisitor& visit,
                                Compared* compared) const;
  // Compares the queries, one for each scorer, with the rows [begin, end) of some set of them.
  using RowsComparer =
      std::function<absl::Status(size_t begin, size_t end, std::span<const ExactScorer> scorers,
                                 const DistanceVisitor& visit)>;
  // The k nearest of a set of rows, to read each of which takes so many bytes.
  absl::Status NearestOf(Executor* executor, size_t rows, size_t row_bytes, MatrixView queries,
                         size_t k, const RowsComparer& compare,
                         std::span<std::vector<Neighbor>> results) const;

  // Searches (collection_search.cc).
  absl::Status CheckSearch(const SearchRequest& request) const;
  // That helps with its parts; null: none.
  Executor* ExecutorOf(const SearchRequest& request) const {
    return request.alone ? nullptr : search_executor_;
  }
  absl::Status CheckTarget(const SearchRequest& request) const;
  absl::Status StoredVectors(const std::vector<PointId>& ids, Matrix* rows) const;
  absl::Status RecommendVector(const SearchRequest& request, Matrix* query) const;
  void ReportLists(const CollectionView& view, const IvfSearchStats& stats, size_t queries,
                   SearchReport* report) const;
  void Explain(const CollectionView& view, SearchReport* report) const;
  absl::StatusOr<SearchResult> SearchView(const CollectionView& view,
                                          const SearchRequest& request) const;
  SearchPace PaceIn(const CollectionView& view, const SearchRequest& request) const;
  absl::Status QueryMatrix(const SearchRequest& request, Matrix* queries) const;
  IvfSearchParams SearchParams(const SearchRequest& request, const CollectionView& view,
                               size_t k) const;
  // How many bytes of codes and vectors a query reads, about, that goes through the lists.
  size_t BytesOfQuery(const CollectionView& view, const IvfSearchParams& params) const;
  // Reading one vector takes as long as so many bytes in memory do; and comparing one of many with
  // a query, of which scalar codes leave few to be read.
  size_t BytesOfRow() const;
  size_t BytesOfCandidate() const { return has_scalar_codes() ? table_.row_bytes() : BytesOfRow(); }
  absl::Status SearchLists(const SearchRequest& request, const CollectionView& view,
                           MatrixView queries, size_t k, std::span<std::vector<Neighbor>> results,
                           SearchReport* report) const;
  absl::Status SearchExactly(Executor* executor, const CollectionView& view, MatrixView queries,
                             size_t k, std::span<std::vector<Neighbor>> results,
                             Compared* compared) const;
  ScoreBounds BoundsOf(const CodeBounds& by_code, const Neighbor& neighbor) const;
  void ToHits(const SearchRequest& request, const std::vector<std::vector<Neighbor>>& found,
              bool exact, std::span<const CodeBounds> by_code, SearchResult* result) const;

  // How deep to search for a recall (collection_depth.cc).
  // The request with the depth that the recall which it asks for takes.
  SearchRequest WithDepth(const CollectionView& view, const SearchRequest& request) const;
  std::optional<double> ExpectedRecall(const SearchRequest& request, const CollectionView& view,
                                       SearchPlan plan) const;

  // Orders (collection_ordered_scroll.cc).
  absl::StatusOr<std::shared_ptr<const FieldIndex>> OrderIndex(const CollectionView& view,
                                                               const ScrollOrder& order) const;

  // Range searches (collection_range.cc).
  class RangePage;
  absl::Status CheckRange(const RangeRequest& request) const;
  absl::Status RangeQuery(const RangeRequest& request, Matrix* query) const;
  absl::Status FillRangePage(const RangeRequest& request, const CollectionView& view,
                             std::span<const float> query, const FilterMatches* matches,
                             RangePage* page, SearchReport* report) const;
  absl::Status FillFromLists(const CollectionView& view, std::span<const float> query,
                             const FilterMatches* matches, RangePage* page,
                             SearchReport* report) const;

  const std::function<void()> payload_copy_due_;
  mutable std::atomic<size_t> payloads_from_store_{0};  // that searches have asked for
  // So many searches more are let wait for the disk, since one had to.
  mutable std::atomic<int> searches_to_wait_{0};
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_COLLECTION_READER_H_
