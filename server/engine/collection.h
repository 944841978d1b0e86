#ifndef TESSERA_SERVER_ENGINE_COLLECTION_H_
#define TESSERA_SERVER_ENGINE_COLLECTION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "index/base/executor.h"
#include "index/base/limits.h"
#include "index/base/slot_set.h"
#include "index/codebook/codebook.h"
#include "index/ivf/inverted_lists.h"
#include "index/ivf/list_balance.h"
#include "server/engine/calibration.h"
#include "server/engine/collection_reader.h"
#include "server/engine/list_tombstones.h"
#include "server/engine/operations.h"
#include "server/engine/payload_copy.h"
#include "server/engine/rebalancing.h"
#include "server/engine/records.h"
#include "server/engine/recovery_progress.h"
#include "server/engine/request_ledger.h"
#include "server/engine/slot_allocator.h"
#include "server/engine/types.h"
#include "server/engine/view_epochs.h"
#include "server/engine/write_queue.h"
#include "server/filter/payload_indexes.h"
#include "server/storage/row_files.h"
#include "server/storage/store.h"

namespace tessera {

// A payload index that is to be built from what the store held when it was added.
struct PayloadIndexBuild {
  PayloadIndexSpec spec;
  uint64_t generation = 0;                  // tells it from one of the same key that comes after it
  uint64_t points = 0;                      // about as many are to be read
  std::shared_ptr<StoreIterator> records;   // of all points
  std::shared_ptr<const SlotSet> leftover;  // slots in it without a point
};

// Adds the records that say what a collection is to a batch: of the catalog, and of settings that
// are not all as by default.
void PutCatalogRecords(const CatalogRecord& record, uint64_t revision, StoreBatch& batch);

// One collection: its points in the store, and in memory what searches need.
//
// Thread-safe. Writes go through a queue that gives them one order and commits them in groups;
// a commit is on disk first, then visible. Searches load a view and take no lock. The store and
// the executor must outlive it.
class Collection final : public CollectionReader {
 public:
  // What a collection tells its owner, in the middle of a write: these must not block.
  struct Hooks {
    std::function<void()> lists_need_work;  // there is work for Maintain()
    std::function<void()> wrote_async;      // Store::Sync() is to be called within kAsyncSyncMsMax
    std::function<void(const std::string&)> log;  // may be empty
  };

  struct Options {
    // A deletion by filter of more points leaves records to Maintain(), at most
    // kDeletionStepPointsMax.
    size_t deletion_step_points = limits::kDeletionStepPointsMax;
    // Where there are copies of vectors on disk and of payloads; null: nowhere. Must outlive the
    // collection.
    const RowFiles* row_files = nullptr;
    Executor* search_executor = nullptr;  // as EngineOptions has it
  };

  // A collection whose catalog record is in the store already; Recover() fills it, or it is new and
  // empty.
  Collection(Store& store, Executor& executor, const CatalogRecord& record, Hooks hooks,
             const Options& options);

  // Reads points, codes and codebook from the store. DATA_LOSS if they do not fit together.
  // `progress` counts the records.
  absl::Status Recover(RecoveryProgress& progress);

  CollectionInfo Info() const;
  // Changes settings: on disk, then visible. FAILED_PRECONDITION if there is an `expected_revision`
  // and the settings have another.
  absl::Status UpdateSettings(const SettingsEdit& edit, std::optional<uint64_t> expected_revision);

  absl::StatusOr<WriteResult> Upsert(const UpsertBatch& batch);
  absl::StatusOr<WriteResult> Delete(const std::vector<PointId>& ids, const WriteOptions& options);
  // Writes that depend on what is there, as the Engine has them. `edit` may be called more than
  // once for a point.
  absl::StatusOr<WriteResult> DeleteMatching(const Filter& filter, const WriteOptions& options);
  absl::StatusOr<WriteResult> EditPoints(const std::vector<PointId>& ids, const PointEdit& edit,
                                         const WriteOptions& options);
  absl::StatusOr<WriteResult> EditMatching(const Filter& filter, const PointEdit& edit,
                                           const WriteOptions& options);
  absl::StatusOr<WriteResult> UpdateVectors(const std::vector<PointId>& ids, VectorsView vectors,
                                            const WriteOptions& options);
  // Deletes the collection from the store, together with what `batch` holds, and then runs
  // `dropped`, before any write that waits. Later writes are NOT_FOUND.
  absl::Status Drop(std::unique_ptr<StoreBatch> batch, const std::function<void()>& dropped);
  bool dropped() const { return dropped_.load(); }
  // To be asked when a read is done: whether the collection is gone, and parts of what was read may
  // have been. Waits for a Drop() that is under way.
  bool AwaitDrop();

  // Adds a payload index, which BuildPayloadIndex then fills. ALREADY_EXISTS if the field has one.
  absl::StatusOr<PayloadIndexBuild> AddPayloadIndex(const PayloadIndexSpec& spec);
  // Long: run as an operation. Drops the index if it fails, but not where the server stops.
  absl::Status BuildPayloadIndex(const PayloadIndexBuild& build, Operations::Context& operation);
  absl::Status DropPayloadIndex(const std::string& key);
  // Drops the index that nobody is going to build any more, if it is there still.
  void GiveUpPayloadIndex(const PayloadIndexBuild& build);
  absl::StatusOr<ListStatistics> GetListStatistics(size_t page_size, const std::string& page_token);

  // Frees the views that no search holds any more, and what filters matched in older ones. To be
  // called now and then: writes free views too.
  void ReleaseOldViews();
  // Does a small step of background work: compacts some lists, splits long ones, removes some of
  // the records that large deletions have left, fills row files, makes scalar codes. Searches go
  // on, writes wait for a part of the step. False if nothing is left to do; after a failure it is
  // left for a while (IsSplitDue). One thread at a time.
  bool Maintain(absl::Time now);
  // Whether a split that has failed before should be tried again.
  bool IsSplitDue(absl::Time now) const;
  // Whether there are records that large deletions have left.
  bool HasLeftovers() const { return view()->leftover->size() > 0; }
  // Whether slots that only dead points have had can be given up, and their memory: Maintain()
  // does.
  bool HasSpareSlots() const;
  // Whether the records of deleted and replaced points take so much of the disk that CompactDisk is
  // worth its work: as much as the points, or, without a write since `quiet_since`, a tenth of it.
  bool HasSpareDisk(absl::Time quiet_since) const;
  // Rewrites what is on disk without such records, beside searches and writes. Long.
  absl::Status CompactDisk(std::atomic<bool>* cancelled);

  // Opens the row files; Recover() does it too.
  void OpenRowFiles();
  // After the last write: the next start need not make the files anew.
  void CloseRowFiles();

  // Writes what the payload indexes hold into the store, beside searches and writes, so that a
  // start need not read payloads, if that is worth its work: an index has come or gone, or many
  // points have been written since; fewer are enough without a write since `quiet_since`. Leaves it
  // once go_on() is false. One thread at a time.
  void KeepIndexContents(absl::Time quiet_since, const std::function<bool()>& go_on);

  // Calibrates, beside searches and writes, if the codebook in use has no calibration, or the
  // collection has outgrown it; sooner without a write since `quiet_since`. Leaves it once go_on()
  // is false. One thread at a time.
  void StayCalibrated(absl::Time quiet_since, const std::function<bool()>& go_on);

  // Trains a codebook on the points and installs it. Long: run as an operation.
  absl::Status Train(const TrainRequest& request, Operations::Context& operation);
  // FAILED_PRECONDITION if Train could not even start with these parameters now.
  absl::Status CheckTrainable(const TrainRequest& request) const;
  // Encodes all points with the codebook, which has not been trained on those of `held_back`, and
  // switches searches to it. Long.
  absl::Status InstallCodebook(std::shared_ptr<const Codebook> codebook,
                               std::vector<Slot> held_back, Operations::Context& operation);
  // Encodes all points with a codebook that is stored and switches searches to it. Long.
  absl::Status ActivateCodebook(uint32_t version, Operations::Context& operation);
  // NOT_FOUND, or FAILED_PRECONDITION for the current version.
  absl::Status CheckActivatable(uint32_t version) const;
  absl::Status DeleteCodebook(uint32_t version);
  // FAILED_PRECONDITION if as many codebooks are kept as may be.
  absl::Status CheckRoomForCodebook() const;
  // A serialized codebook that fits this collection, or why it does not.
  absl::StatusOr<std::shared_ptr<const Codebook>> ParseCodebook(const std::string& bytes) const;

  // Measures how deep searches must go for the recall that they ask for, with `queries`, or with
  // stored vectors where there are none. Long. FAILED_PRECONDITION if the collection is not
  // trained.
  absl::Status Calibrate(const Matrix& queries, ProgressObserver& observer);
  // INVALID_ARGUMENT if these cannot be queries, FAILED_PRECONDITION if Calibrate could not start.
  absl::StatusOr<Matrix> CheckCalibrate(VectorsView queries) const;

  absl::StatusOr<CodebookInfo> GetCodebook(uint32_t version) const;
  absl::StatusOr<std::vector<CodebookInfo>> ListCodebooks() const;
  absl::StatusOr<std::string> ExportCodebook(uint32_t version) const;
  absl::StatusOr<CodeRows> Encode(VectorsView vectors) const;
  absl::StatusOr<std::vector<float>> Decode(const CodeRows& codes) const;

 private:
  // Slots of points, and what a codebook makes of them.
  struct EncodedSlots {
    std::vector<Slot> slots;
    EncodedVectors vectors;
  };
  struct GroupPlan;
  CollectionSpec SpecWith(const CollectionSettings& settings) const;
  void PutCatalog(uint32_t codebook_version, const CollectionSettings& settings,
                  StoreBatch& batch) const;
  absl::Status Missing() const;
  void Log(const std::string& message) const {
    if (hooks_.log) hooks_.log(message);
  }

  // Writes (collection_write.cc). What they touch belongs to the queue's turn.
  // Vectors of a request as they are stored, into vector_bytes() for each. INVALID_ARGUMENT for the
  // field vectors if the element type does not hold them, or they are over limits::kComponentMax.
  absl::Status ConvertForStorage(VectorsView vectors, std::byte* rows) const;
  absl::StatusOr<WriteResult> UpsertExpected(const UpsertBatch& batch,
                                             const std::vector<Slot>* expected_slots);
  absl::Status ValidateUpsert(const UpsertBatch& batch) const;
  void EncodeForWrite(PendingWrite& write, const CollectionView& view) const;
  void EncodeForMovedLists(PendingWrite& write) const;
  absl::Status CommitGroup(std::span<PendingWrite* const> group);
  absl::Status CheckWrite(const PendingWrite& write, const GroupPlan& plan) const;
  absl::Status CommitWrites(std::span<PendingWrite* const> writes, Durability durability);
  size_t RecordBytes(const PendingWrite& write) const;
  absl::StatusOr<WriteResult> Submit(PendingWrite& write);
  void PlanWrite(PendingWrite& write, GroupPlan& plan);
  void PutPoint(const PendingWrite& write, size_t i, Slot slot, GroupPlan& plan);
  absl::Status LookUpSlots(std::span<PendingWrite* const> group, GroupPlan& plan) const;
  void RemoveRecords(const PointId& id, Slot slot, uint32_t list, bool replaced, GroupPlan& plan);
  void ApplyGroup(std::span<PendingWrite* const> group, GroupPlan& plan);
  void AppendToLists(const EncodedVectors& encoded, const Slot* slots);
  void BuryPoints(std::span<const Slot> died);
  void Publish();

  // Request ids (collection_ledger.cc). What they touch belongs to the queue's turn.
  struct NewWrites {
    std::vector<PendingWrite*> writes;
    std::vector<std::pair<PendingWrite*, PendingWrite*>> repeats;  // and what each repeats
  };
  Durability DurabilityOf(const WriteOptions& options) const;
  absl::Status SetWriteOptions(const WriteOptions& options, PendingWrite* write) const;
  NewWrites TakeNewWrites(std::span<PendingWrite* const> group) const;
  void PlanLedger(std::span<PendingWrite* const> writes, StoreBatch& batch) const;
  void ApplyLedger(std::span<PendingWrite* const> writes);
  absl::Status RecoverLedger();

  // The answer to a request that has been done already.
  absl::StatusOr<std::optional<WriteResult>> KnownAnswer(const WriteOptions& options);
  // Writes nothing but the answer of a request whose steps are done.
  absl::StatusOr<WriteResult> RecordAnswer(const WriteOptions& options, uint64_t points);

  // Writes that depend on what is there (collection_rewrite.cc).
  struct EditedPoints {
    UpsertBatch batch;
    std::string vectors;      // of the batch
    std::vector<Slot> slots;  // where the points were
  };
  // False if points moved meanwhile. With a filter, only points that match count.
  absl::StatusOr<bool> ReadAndEdit(const std::vector<PointId>& ids, const Filter& filter,
                                   const PointEdit& edit, EditedPoints* edited) const;
  // Changes points as they are in one moment.
  absl::StatusOr<WriteResult> Rewrite(const std::vector<PointId>& ids, const Filter& filter,
                                      const PointEdit& edit, const WriteOptions& options);

  // Deletions of many points (collection_deletions.cc).
  absl::StatusOr<WriteResult> DeleteMany(std::vector<Slot> slots, const WriteOptions& options);
  absl::Status CommitDeletion(PendingWrite& write, std::vector<Slot> slots);
  void ApplyDeletion(std::span<const Slot> slots);
  bool SweepDeletions(absl::Time now);
  absl::Status SweepDeletedPoints();
  absl::Status RemoveLeftovers(const std::string& deletion_key, std::span<const Slot> slots,
                               const std::vector<PointId>& ids);
  absl::Status RecoverDeletions();

  // The copies of vectors on disk and of payloads (collection_row_files.cc).
  bool IsPayloadCopyDue() const;
  absl::Status MakePayloadCopy();
  void OpenPayloadCopy(size_t row_bytes);
  void AwaitFilling(RowFile& file) const;
  // Before each commit: it goes to this sequence.
  void BeginCommitOfCopies(uint64_t sequence);
  // Before the commit that makes them points; a kill then leaves no point without its rows.
  void CopyRows(std::span<PendingWrite* const> group, std::span<const Slot> new_slots);
  struct StoredRows {
    std::vector<Slot> slots;
    std::vector<std::byte> vectors;  // one after the other, or
    std::vector<std::string> payloads;
    bool last = false;  // there are no more behind them
  };
  absl::StatusOr<StoredRows> ReadStoredRows(RowKind kind, Slot begin) const;
  bool FillCopies();
  // What the slots before *from have is in the file.
  bool FillCopy(RowKind kind, RowFile& file, Slot* from);
  absl::Status FillSomeRows(RowKind kind, RowFile& file, Slot* from);

  // Scalar codes in memory (collection_scalar_codes.cc).
  std::vector<std::byte> ScalarCodesOf(const std::byte* vectors, size_t n) const;
  const std::byte* RowToKeep(const std::byte* vector, std::vector<std::byte>* scratch) const;
  bool FillScalarCodes();
  absl::Status FillSomeScalarCodes();

  // Payload indexes (collection_payload_indexes.cc). What they touch belongs to the queue's turn.
  absl::Status PlanIndexChanges(std::span<PendingWrite* const> group,
                                std::span<const Slot> new_slots, std::span<const Slot> died,
                                IndexChanges* changes) const;
  absl::Status CheckNewPayloadIndex(const PayloadIndexSpec& spec) const;
  absl::Status CommitDropOfIndex(const std::string& key);
  absl::Status RecoverPayloadIndexes();
  absl::Status BuildIndexesAnew(const std::vector<PayloadIndexSpec>& specs);
  absl::StatusOr<FieldColumn> ReadColumn(const PayloadIndexBuild& build,
                                         Operations::Context& operation) const;

  // What is stored of them (collection_index_contents.cc).
  bool AreIndexContentsDue(absl::Time quiet_since) const;
  absl::Status StoreIndexContents(const std::function<bool()>& go_on);
  void RecordIndexChanges(uint64_t sequence, std::span<const Slot> new_slots,
                          std::span<const Slot> died, StoreBatch& batch);
  absl::Status RecoverIndexContents(const std::vector<PayloadIndexSpec>& specs,
                                    std::vector<PayloadIndexSpec>* missing);
  absl::Status ReadChangedPayloads(
      const Roaring& changed, std::map<std::string, std::shared_ptr<const FieldIndex>>* fields);
  absl::Status CheckRecoveredIndexes(const std::vector<bool>& live);

  // Training (collection_train.cc).
  absl::StatusOr<CodebookSpec> TrainingSpec(const TrainRequest& request) const;
  struct Sample {
    Matrix rows;
    std::vector<Slot> slots;
  };
  absl::StatusOr<Sample> TrainingSample(const CodebookSpec& spec) const;
  // A codebook that is being installed.
  struct NewCodebook {
    std::shared_ptr<const Codebook> codebook;
    uint32_t version = 0;
    bool stored = false;          // it has a record already
    std::vector<Slot> held_back;  // slots whose points it has not been trained on
  };
  absl::Status EncodeRange(const CollectionView& view, const NewCodebook& codebook, Slot begin,
                           Slot end, Operations::Context* operation, EncodedSlots* out) const;
  void PutCodes(const NewCodebook& codebook, const EncodedSlots& encoded, size_t begin,
                StoreBatch& batch) const;
  void PutCodebook(const NewCodebook& codebook, StoreBatch& batch) const;
  absl::Status EncodeAndSwitchOrSweep(const NewCodebook& codebook, Operations::Context& operation);
  absl::Status EncodeAndSwitch(const NewCodebook& codebook, Operations::Context& operation);
  absl::Status EncodeAndSwitchNewSlots(const NewCodebook& codebook, Operations::Context& operation);
  absl::Status SweepCodes(uint32_t version);
  absl::Status SetSlotReuse(bool reuse);
  absl::Status EncodeAll(const NewCodebook& codebook, Operations::Context& operation,
                         Slot* encoded_end, EncodedSlots* encoded) const;
  absl::Status SwitchCodebook(const NewCodebook& codebook, std::unique_ptr<InvertedLists> lists,
                              std::span<const EncodedSlots> encoded, Slot encoded_end,
                              std::shared_ptr<const Calibration> calibration);
  void UseLists(std::unique_ptr<InvertedLists> lists, std::span<const EncodedSlots* const> parts);
  absl::StatusOr<uint32_t> TakeCodebookVersion();
  absl::StatusOr<std::vector<uint32_t>> CodebookVersions() const;

  // Calibration (collection_calibrate.cc).
  // The lists that are measured, of a codebook that may not be in use yet: they hold the points of
  // the slots below `slot_end`.
  struct MeasuredLists {
    std::shared_ptr<const ListsSnapshot> lists;
    uint32_t codebook_version = 0;
    Slot slot_end = 0;
  };
  // Queries; none: those of `held_back` that are points, or others if they are few.
  struct CalibrationQueries {
    MatrixView given;
    std::vector<Slot> held_back;
  };
  // Null if there are fewer than two points.
  absl::StatusOr<std::shared_ptr<const Calibration>> MeasureCalibration(
      const CollectionView& view, const MeasuredLists& measured, const CalibrationQueries& queries,
      ProgressObserver& observer) const;
  // Of `live`, ascending.
  std::vector<Slot> ChooseQueries(std::span<const Slot> live,
                                  std::span<const Slot> held_back) const;
  absl::Status TrueNeighbors(const CollectionView& view, Slot slot_end, MatrixView queries,
                             ProgressObserver& observer,
                             std::span<std::vector<Slot>> nearest) const;
  void PutCalibration(const Calibration& calibration, StoreBatch& batch) const;
  absl::StatusOr<std::shared_ptr<const Calibration>> CalibrationOf(
      const CollectionView& view, const Matrix& queries, ProgressObserver& observer) const;
  absl::Status CalibrateAnew(ProgressObserver& observer);
  // In place of that one alone, if there is a second.
  absl::Status KeepCalibration(
      std::shared_ptr<const Calibration> calibration,
      const std::optional<std::shared_ptr<const Calibration>>& in_place_of);
  // Null if there is none, or it is damaged.
  absl::StatusOr<std::shared_ptr<const Calibration>> ReadCalibration(
      uint32_t codebook_version) const;
  bool IsCalibrationDue(bool quiet) const;
  // Upkeep (collection_maintain.cc). In the queue's turn.
  void ReclaimSlots();
  void DropReleasedViews();
  void CompactSomeLists();
  void ReturnSpareMemory();
  void PackSomeLists();
  uint64_t SlotsWorthKeeping() const;
  void QueueListsOfHighSlots();

  // Long lists give entries to others (collection_rebalance.cc).
  struct LongLists {
    std::vector<uint32_t> sizes;               // of all lists, without dead entries
    std::vector<uint32_t> too_long;            // which of them; ascending
    std::shared_ptr<const Codebook> codebook;  // whose lists they are
  };
  LongLists FindLongLists();
  bool Rebalance(const LongLists& lists, absl::Time now);
  absl::Status SettleLists(const Codebook* codebook, const std::vector<uint32_t>& lists);
  absl::StatusOr<bool> PlanRebalancing(const CollectionView& view, const LongLists& lists);
  absl::StatusOr<bool> PlanSplit(const CollectionView& view, const ListSplit& split,
                                 std::vector<float>* centroids) const;
  absl::StatusOr<bool> StepRebalancing(const CollectionView& view);
  absl::Status GiveEntries(const CollectionView& view);
  absl::Status MoveListCentroids(const CollectionView& view);
  absl::Status FinishRebalancing();
  void LookAtLongLists(const CollectionView& view);
  bool IsLiveIn(const CollectionView& view, Slot slot, uint32_t list) const;
  std::vector<Slot> LiveSlotsOf(const CollectionView& view, uint32_t list) const;
  absl::StatusOr<Matrix> FloatsOf(std::vector<Slot>* slots) const;
  absl::Status EncodeSlots(std::vector<Slot> slots, EncodedSlots* out) const;
  absl::Status EncodeNewcomers(const EncodedSlots& known, EncodedSlots* out) const;
  absl::Status CommitMoves(const EncodedSlots& moves, bool with_centroids);
  void PutCentroids(StoreBatch& batch) const;
  void ApplyMoves(const EncodedSlots& moves, bool with_centroids);

  // The Codebooks service (collection_codebooks.cc).
  struct StoredCodebook {
    int64_t create_time_ms = 0;
    std::string content_hash;
    std::string bytes;  // as both are with the centroids that have moved
    std::shared_ptr<const Codebook> codebook;
  };
  absl::Status NotTrained() const;
  absl::Status FindCodebook(uint32_t version) const;
  absl::StatusOr<StoredCodebook> ReadCodebook(uint32_t version) const;
  absl::Status MoveCentroids(StoreIterator& it, std::shared_ptr<const Codebook>* codebook) const;

  // Recovery (collection_recover.cc).
  absl::Status RecoverSettings();
  absl::Status RecoverCodebook(uint32_t version);
  absl::Status DropStaleRecords(uint32_t version);
  void RecoverFreeSlots(const std::vector<bool>& live);
  absl::Status RecoverPoints(RecoveryProgress& progress, std::vector<bool>* seen);
  absl::Status RecoverCodes(RecoveryProgress& progress, EncodedSlots* encoded,
                            std::vector<bool>* seen);

  Executor& executor_;
  const int64_t create_time_ms_;
  const uint32_t recorded_codebook_version_;

  const Hooks hooks_;
  const size_t deletion_step_points_;
  const RowFiles* const row_files_;  // null: there are none

  std::unique_ptr<PayloadCopy> owned_payload_copy_;  // what payload_copy_ points to
  std::atomic<uint64_t> sequence_{0};
  std::atomic<bool> dropped_{false};
  std::atomic<bool> dropping_{false};  // it is, or its records are about to be deleted
  std::atomic<size_t> lists_bytes_{0};
  std::atomic<uint64_t> dead_records_{0};  // of points, since the disk was last compacted
  std::atomic<int64_t> last_write_ms_{0};
  std::atomic<int64_t> split_retry_ms_{0};  // when to try again what has failed; 0: nothing has

  // Belong to whoever has the turn in queue_ (and to Recover before there is any).
  SlotAllocator slots_;
  SlotSet dead_;   // given slots without a point: in a list, retired or free
  SlotSet swept_;  // of those that slots_ holds, the ones whose records are gone already
  ViewEpochs epochs_;
  ListTombstones tombstones_;  // of lists_
  ListLimits list_limits_;     // of lists_
  uint32_t codebook_version_ = 0;
  std::shared_ptr<const Codebook> codebook_;
  std::unique_ptr<InvertedLists> lists_;
  std::shared_ptr<const CollectionSettings> settings_;
  std::shared_ptr<const Calibration> calibration_;  // of the codebook in use; null: none
  RequestLedger ledger_;
  std::shared_ptr<const PayloadIndexes> indexes_ = std::make_shared<PayloadIndexes>();

  bool records_index_changes_ = false;  // their contents are stored, or are being stored

  uint64_t view_version_ = 0;
  // Views before view_, each kept until no search holds it: to free one takes longer than most
  // searches, so that is left to the writer.
  std::vector<std::shared_ptr<const CollectionView>> old_views_;
  std::atomic<bool> has_old_views_{false};

  // Belong to the thread that calls Maintain.
  Rebalancing rebalancing_;
  std::string sweep_from_;  // the key of the last part of a deletion that is done
  int sweep_failures_ = 0;  // in a row
  absl::Time sweep_not_before_ = absl::InfinitePast();

  Slot fill_from_ = 0;  // the row file has the rows of the slots before
  Slot fill_payloads_from_ = 0;
  bool payload_copy_refused_ = false;  // until the next start
  // Scalar codes of the slots from here on are to be made; none: all are there.
  std::optional<Slot> scalar_from_;

  std::atomic<uint64_t> index_changes_{0};  // slots recorded since the contents were stored
  // Belong to the thread that stores the contents of indexes. Which are stored; none: something is,
  // but nothing of use.
  std::optional<std::vector<PayloadIndexSpec>> stored_indexes_{std::in_place};
  uint32_t index_contents_number_ = 0;
  absl::Time index_contents_retry_ = absl::InfinitePast();  // the last attempt has failed

  absl::Time calibration_retry_ = absl::InfinitePast();  // of the thread that calls StayCalibrated

  WriteQueue queue_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_COLLECTION_H_
