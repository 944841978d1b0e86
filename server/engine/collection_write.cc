// The write path: validate and encode in the caller's thread, then one commit for all writes that
// have gathered, then the change in memory, then the acknowledgement.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"
#include "server/engine/payload.h"
#include "server/engine/record_copy.h"

namespace tessera {
namespace {

// Below this many vectors, spreading the encoding over threads costs more than it gains.
constexpr size_t kParallelEncodeRows = 512;
constexpr uint32_t kUnknownList = 0xFFFF'FFFF;
// Of the records of a point in a batch, about, without its vector, code and payload.
constexpr size_t kRecordHeadBytes = 160;

absl::Status ValidateIds(const std::vector<PointId>& ids) {
  absl::flat_hash_set<PointId> seen;
  seen.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (const std::string* text = std::get_if<std::string>(&ids[i])) {
      if (text->empty() || text->size() > limits::kStringIdBytesMax) {
        return InvalidField(absl::StrCat("ids.str[", i, "]"),
                            absl::StrCat("has ", text->size(), " bytes; 1 to ",
                                         limits::kStringIdBytesMax, " are allowed"));
      }
    }
    if (!seen.insert(ids[i]).second) {
      return InvalidField(
          "ids", absl::StrCat("row ", i, " repeats the id ", DescribePointId(ViewOf(ids[i]))));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// What a group of writes does, while it is being put together.
struct Collection::GroupPlan {
  std::unique_ptr<StoreBatch> batch;
  uint64_t sequence = 0;
  std::vector<Slot> new_slots;  // of every point upserted by the group, in order
  std::vector<Slot> old_slots;  // of every id of the group, in order; kInvalidSlot: not there
  size_t old_slot_cursor = 0;
  // Where the group has put ids so far; kept only if one can come twice.
  struct Place {
    Slot slot = kInvalidSlot;
    uint32_t list = 0;
  };
  absl::flat_hash_map<PointId, Place> moved;
  bool track_moves = false;
  std::vector<Slot> died;
  int64_t points_change = 0;
  std::string key;
  std::string value;

  // Where the i-th id of the next write is now.
  Place Find(const PointId& id, size_t i) const {
    const auto it = moved.find(id);
    return it != moved.end() ? it->second : Place{old_slots[old_slot_cursor + i], kUnknownList};
  }
};

absl::Status Collection::Missing() const { return NotFound("collection", spec_.name); }

absl::Status Collection::ValidateUpsert(const UpsertBatch& batch) const {
  const size_t n = batch.ids.size();
  if (n == 0) return InvalidField("ids", "is empty");
  if (n > limits::kUpsertPointsMax) {
    return InvalidField("ids", absl::StrCat("has ", n, " points; at most ",
                                            limits::kUpsertPointsMax, " go into one request"));
  }
  if (batch.vectors.dim != spec_.dimension) {
    return InvalidField("vectors", absl::StrCat("has dimension ", batch.vectors.dim,
                                                "; the collection has ", spec_.dimension));
  }
  if (batch.vectors.rows != n) {
    return InvalidField("vectors",
                        absl::StrCat("has ", batch.vectors.rows, " vectors for ", n, " ids"));
  }
  if (!batch.payloads.empty() && batch.payloads.size() != n) {
    return InvalidField("payloads",
                        absl::StrCat("has ", batch.payloads.size(), " entries for ", n, " ids"));
  }
  RETURN_IF_ERROR(ValidateIds(batch.ids));
  for (size_t i = 0; i < batch.payloads.size(); ++i) {
    if (batch.payloads[i].empty()) continue;
    if (absl::Status status = ValidatePayload(batch.payloads[i]); !status.ok()) {
      return InvalidField(absl::StrCat("payloads[", i, "]"), std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

void Collection::EncodeForWrite(PendingWrite& write, const CollectionView& view) const {
  write.encoded = {};
  write.encoded_version = view.codebook_version;
  write.encoded_with = view.codebook;
  if (view.codebook == nullptr) return;
  const size_t n = write.size();
  Matrix rows(n, spec_.dimension);
  ToFloat(spec_.element_type, write.vectors, n * spec_.dimension, rows.data());
  InlineExecutor inline_executor;
  Executor& executor =
      n < kParallelEncodeRows ? static_cast<Executor&>(inline_executor) : executor_;
  view.codebook->Encode(rows, executor, &write.encoded);
}

// Encodes anew what went to lists whose centroids have moved since.
void Collection::EncodeForMovedLists(PendingWrite& write) const {
  std::vector<size_t> stale;
  for (size_t i = 0; i < write.size(); ++i) {
    if (!codebook_->HasSameCentroid(*write.encoded_with, write.encoded.lists[i]))
      stale.push_back(i);
  }
  write.encoded_with = codebook_;
  if (stale.empty()) return;
  Matrix rows(stale.size(), spec_.dimension);
  for (size_t i = 0; i < stale.size(); ++i) {
    ToFloat(spec_.element_type, write.vectors + stale[i] * vector_bytes(), spec_.dimension,
            rows.row(i).data());
  }
  EncodedVectors fresh;
  InlineExecutor executor;
  codebook_->Encode(rows, executor, &fresh);
  const size_t code_bytes = codebook_->code_bytes();
  for (size_t i = 0; i < stale.size(); ++i) {
    const size_t row = stale[i];
    write.encoded.lists[row] = fresh.lists[i];
    write.encoded.biases[row] = fresh.biases[i];
    write.encoded.errors[row] = fresh.errors[i];
    std::copy_n(&fresh.codes[i * code_bytes], code_bytes, &write.encoded.codes[row * code_bytes]);
  }
}

absl::StatusOr<WriteResult> Collection::Upsert(const UpsertBatch& batch) {
  return UpsertExpected(batch, nullptr);
}

absl::Status Collection::ConvertForStorage(VectorsView vectors, std::byte* rows) const {
  absl::Status status = ConvertVectors(vectors, spec_.element_type, rows);
  if (status.ok()) status = CheckComponents(vectors);
  if (!status.ok()) return InvalidField("vectors", std::string(status.message()));
  return absl::OkStatus();
}

absl::StatusOr<WriteResult> Collection::UpsertExpected(const UpsertBatch& batch,
                                                       const std::vector<Slot>* expected_slots) {
  RETURN_IF_ERROR(ValidateUpsert(batch));
  std::vector<std::byte> converted;
  PendingWrite write;
  write.ids = &batch.ids;
  write.payloads = &batch.payloads;
  write.condition = batch.condition;
  write.expected_slots = expected_slots;
  if (batch.vectors.type == spec_.element_type && ElementSize(spec_.element_type) == 1) {
    write.vectors = batch.vectors.data;  // bytes are always finite, and need no conversion
  } else {
    converted.resize(batch.ids.size() * vector_bytes());
    RETURN_IF_ERROR(ConvertForStorage(batch.vectors, converted.data()));
    write.vectors = converted.data();
  }
  RETURN_IF_ERROR(SetWriteOptions(batch.options, &write));
  std::vector<std::byte> scalar_codes;
  write.rows = write.vectors;
  if (has_scalar_codes()) {
    scalar_codes = ScalarCodesOf(write.vectors, batch.ids.size());
    write.rows = scalar_codes.data();
  }
  {
    // Not held while the write waits: that would keep slots from being given again.
    const auto now = view();
    EncodeForWrite(write, *now);
    write.columns = ExtractColumns(*now->indexes, batch.payloads, batch.ids.size());
  }
  return Submit(write);
}

absl::StatusOr<WriteResult> Collection::Submit(PendingWrite& write) {
  RETURN_IF_ERROR(queue_.Submit(write));
  RETURN_IF_ERROR(write.refusal);
  return write.result;
}

absl::StatusOr<WriteResult> Collection::Delete(const std::vector<PointId>& ids,
                                               const WriteOptions& options) {
  if (ids.empty()) return InvalidField("ids", "is empty");
  if (ids.size() > limits::kIdsPerRequestMax) {
    return InvalidField("ids", absl::StrCat("has ", ids.size(), " ids; at most ",
                                            limits::kIdsPerRequestMax, " go into one request"));
  }
  PendingWrite write;
  write.kind = PendingWrite::Kind::kDelete;
  write.ids = &ids;
  RETURN_IF_ERROR(SetWriteOptions(options, &write));
  return Submit(write);
}

absl::Status Collection::LookUpSlots(std::span<PendingWrite* const> group, GroupPlan& plan) const {
  std::vector<std::string> keys;
  for (const PendingWrite* write : group) {
    for (const PointId& id : *write->ids) keys.push_back(IdKey(id_, id));
  }
  std::vector<std::optional<std::string>> values;
  RETURN_IF_ERROR(store_.MultiGet(Family::kIds, keys, &values));
  plan.old_slots.assign(keys.size(), kInvalidSlot);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (values[i].has_value()) {
      RETURN_IF_ERROR(DecodeSlot(keys[i], *values[i], &plan.old_slots[i]));
      if (slots_.held().Contains(plan.old_slots[i])) plan.old_slots[i] = kInvalidSlot;
    }
  }
  return absl::OkStatus();
}

void Collection::RemoveRecords(const PointId& id, Slot slot, uint32_t list, bool replaced,
                               GroupPlan& plan) {
  plan.key.clear();
  AppendPointKey(id_, slot, &plan.key);
  plan.batch->Delete(Family::kPoints, plan.key);
  if (codebook_version_ != 0) {
    plan.key.clear();
    AppendCodeKey({id_, codebook_version_, list, slot}, &plan.key);
    plan.batch->Delete(Family::kCodes, plan.key);
  }
  if (!replaced) {
    plan.key.clear();
    AppendIdKey(id_, id, &plan.key);
    plan.batch->Delete(Family::kIds, plan.key);
  }
  plan.died.push_back(slot);
  --plan.points_change;
}

// Whether an upsert finds what it asks for. ABORTED, which no caller of the engine sees, if a point
// has moved since the write was made.
absl::Status Collection::CheckWrite(const PendingWrite& write, const GroupPlan& plan) const {
  if (write.kind == PendingWrite::Kind::kDelete) return absl::OkStatus();
  const bool expects = write.expected_slots != nullptr;
  if (write.condition == WriteCondition::kNone && !expects) return absl::OkStatus();
  for (size_t i = 0; i < write.size(); ++i) {
    const PointId& id = (*write.ids)[i];
    const Slot slot = plan.Find(id, i).slot;
    if (expects && slot != (*write.expected_slots)[i]) {
      return absl::AbortedError("a point was written meanwhile");
    }
    if (write.condition == WriteCondition::kInsertOnly && slot != kInvalidSlot) {
      return ErrorWithReason(absl::StatusCode::kAlreadyExists, "POINT_EXISTS",
                             absl::StrCat("point ", DescribePointId(ViewOf(id)),
                                          " exists already; nothing was written"));
    }
    if (write.condition == WriteCondition::kUpdateOnly && slot == kInvalidSlot) {
      return NotFound("point", DescribePointId(ViewOf(id)));
    }
  }
  return absl::OkStatus();
}

// Adds one write to the batch and to the plan.
void Collection::PlanWrite(PendingWrite& write, GroupPlan& plan) {
  const bool upsert = write.kind == PendingWrite::Kind::kUpsert;
  uint64_t touched = 0;
  for (size_t i = 0; i < write.size(); ++i) {
    const PointId& id = (*write.ids)[i];
    GroupPlan::Place old = plan.Find(id, i);
    if (old.list == kUnknownList && old.slot != kInvalidSlot && codebook_ != nullptr) {
      old.list = table_.list(old.slot);
    }
    if (!upsert && write.expected_slots != nullptr && old.slot != (*write.expected_slots)[i]) {
      continue;
    }
    if (old.slot != kInvalidSlot) RemoveRecords(id, old.slot, old.list, upsert, plan);
    GroupPlan::Place place;
    if (upsert) plan.new_slots.push_back(place.slot = slots_.Take());
    if (upsert && codebook_ != nullptr) place.list = write.encoded.lists[i];
    if (plan.track_moves) plan.moved[id] = place;
    touched += upsert || old.slot != kInvalidSlot;
    if (upsert) PutPoint(write, i, place.slot, plan);
  }
  plan.old_slot_cursor += write.size();
  write.result.points = write.points_before + touched;
  write.result.sequence = ++plan.sequence;
}

void Collection::PutPoint(const PendingWrite& write, size_t i, Slot slot, GroupPlan& plan) {
  const PointId& id = (*write.ids)[i];
  ++plan.points_change;
  plan.key.clear();
  AppendIdKey(id_, id, &plan.key);
  EncodeSlot(plan.key, slot, &plan.value);
  plan.batch->Put(Family::kIds, plan.key, plan.value);

  PointRecordView point;
  point.id = ViewOf(id);
  point.vector = {reinterpret_cast<const char*>(write.vectors) + i * vector_bytes(),
                  vector_bytes()};
  if (!write.payloads->empty()) point.payload = (*write.payloads)[i];
  plan.key.clear();
  AppendPointKey(id_, slot, &plan.key);
  EncodePoint(plan.key, point, &plan.value);
  plan.batch->Put(Family::kPoints, plan.key, plan.value);

  if (codebook_ == nullptr) return;
  CodeRecordView code;
  code.id = point.id;
  const size_t code_bytes = codebook_->code_bytes();
  code.code = {reinterpret_cast<const char*>(write.encoded.codes.data()) + i * code_bytes,
               code_bytes};
  code.bias = write.encoded.biases[i];
  code.error = write.encoded.errors[i];
  plan.key.clear();
  AppendCodeKey({id_, codebook_version_, write.encoded.lists[i], slot}, &plan.key);
  EncodeCode(plan.key, code, &plan.value);
  plan.batch->Put(Family::kCodes, plan.key, plan.value);
}

absl::Status Collection::CommitGroup(std::span<PendingWrite* const> group) {
  if (dropped_.load()) return Missing();
  const bool sync = std::any_of(group.begin(), group.end(), [](const PendingWrite* write) {
    return write->durability == Durability::kSync;
  });
  const NewWrites taken = TakeNewWrites(group);
  if (taken.writes.empty()) return sync ? store_.Sync() : absl::OkStatus();
  RETURN_IF_ERROR(CommitWrites(taken.writes, sync ? Durability::kSync : Durability::kAsync));
  for (const auto& [repeat, first] : taken.repeats) {
    repeat->result = first->result;
    repeat->refusal = first->refusal;
  }
  return absl::OkStatus();
}

// About how many bytes the records of an upsert take in a batch.
size_t Collection::RecordBytes(const PendingWrite& write) const {
  const size_t code_bytes = codebook_ == nullptr ? 0 : codebook_->code_bytes();
  size_t bytes = write.size() * (vector_bytes() + code_bytes + kRecordHeadBytes);
  for (const std::string& payload : *write.payloads) bytes += payload.size();
  return bytes;
}

absl::Status Collection::CommitWrites(std::span<PendingWrite* const> group, Durability durability) {
  GroupPlan plan;
  plan.batch = store_.NewBatch();
  plan.sequence = sequence_.load();
  // An id can come twice in a group of several writes, and in one delete; not in one upsert.
  plan.track_moves = group.size() > 1 || group[0]->kind == PendingWrite::Kind::kDelete;
  uint64_t upserts = 0;
  size_t bytes = 0;
  for (PendingWrite* write : group) {
    if (write->kind != PendingWrite::Kind::kUpsert) continue;
    upserts += write->size();
    bytes += RecordBytes(*write);
    // A new codebook may have been installed since the caller's thread encoded, or lists split.
    if (write->encoded_version != codebook_version_) {
      EncodeForWrite(*write, *view());
    } else if (write->encoded_with != codebook_) {
      EncodeForMovedLists(*write);
    }
  }
  ReclaimSlots();
  if (upserts > slots_.room()) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, "COLLECTION_FULL",
        absl::StrCat("a collection holds at most ", limits::kPointsPerCollectionMax, " points"));
  }
  RETURN_IF_ERROR(LookUpSlots(group, plan));
  plan.batch->Reserve(bytes);
  for (PendingWrite* write : group) {
    write->refusal = CheckWrite(*write, plan);
    if (write->refusal.ok()) {
      PlanWrite(*write, plan);
    } else {
      plan.old_slot_cursor += write->size();
    }
  }
  PlanLedger(group, *plan.batch);
  RecordIndexChanges(plan.sequence, plan.new_slots, plan.died, *plan.batch);
  IndexChanges index_changes(*indexes_);
  const std::string counter_key = CounterKey(id_);
  EncodeCounter(counter_key, {plan.sequence, slots_.end()}, &plan.value);
  plan.batch->Put(Family::kMeta, counter_key, plan.value);
  newest_commit_.store(plan.sequence);
  // If the last commit has failed and is in the log all the same, its points' rows must stay.
  absl::Status status = store_.CheckWritable();
  if (status.ok()) status = PlanIndexChanges(group, plan.new_slots, plan.died, &index_changes);
  if (status.ok()) {
    BeginCommitOfCopies(plan.sequence);
    CopyRows(group, plan.new_slots);
    status = store_.Commit(*plan.batch, durability);
  }
  if (!status.ok()) {
    slots_.Return(plan.new_slots);
    // Some may never have been given before, and the end is above them now.
    for (Slot slot : plan.new_slots) dead_.Insert(slot);
    return status;
  }
  if (!indexes_->fields.empty()) indexes_ = index_changes.ApplyTo(*indexes_);
  ApplyGroup(group, plan);
  ApplyLedger(group);
  if (durability == Durability::kAsync) hooks_.wrote_async();
  return absl::OkStatus();
}

// The group is in the log: now it becomes visible.
void Collection::ApplyGroup(std::span<PendingWrite* const> group, GroupPlan& plan) {
  const Slot* slots = plan.new_slots.data();
  for (const PendingWrite* write : group) {
    if (!write->adds_points()) continue;
    const size_t n = write->size();
    for (size_t i = 0; i < n; ++i) {
      dead_.Erase(slots[i]);
      table_.Set(slots[i], (*write->ids)[i], write->rows + i * table_.row_bytes());
      if (lists_ != nullptr) table_.SetList(slots[i], write->encoded.lists[i]);
    }
    if (lists_ != nullptr) AppendToLists(write->encoded, slots);
    slots += n;
  }
  BuryPoints(plan.died);
  dead_records_.fetch_add(plan.died.size(), std::memory_order_relaxed);
  last_write_ms_.store(absl::ToUnixMillis(absl::Now()), std::memory_order_relaxed);
  sequence_.store(plan.sequence);
  points_.fetch_add(static_cast<uint64_t>(plan.points_change));
  Publish();
}

void Collection::AppendToLists(const EncodedVectors& encoded, const Slot* slots) {
  lists_->Append(encoded, slots);
  const bool grown = std::any_of(encoded.lists.begin(), encoded.lists.end(), [&](uint32_t list) {
    return list_limits_.IsOver(list, lists_->list_size(list) - tombstones_.count(list));
  });
  if (grown) hooks_.lists_need_work();
}

// The points of these slots are gone from the store, and from the view that is published next.
void Collection::BuryPoints(std::span<const Slot> died) {
  for (Slot slot : died) dead_.Insert(slot);
  if (lists_ == nullptr) {
    slots_.Retire({died.begin(), died.end()}, epochs_.next());
    return;
  }
  for (Slot slot : died) {
    const uint32_t list = table_.list(slot);
    tombstones_.Add(slot, list, lists_->list_size(list));
  }
  if (tombstones_.HasWork()) hooks_.lists_need_work();
}

void Collection::Publish() {
  auto view = std::make_shared<CollectionView>();
  view->token = epochs_.Open();
  view->slot_end = static_cast<Slot>(slots_.end());
  view->dead = dead_.Snapshot();
  view->leftover = slots_.HeldSnapshot();
  view->codebook_version = codebook_version_;
  view->codebook = codebook_;
  if (codebook_ != nullptr) {
    view->defaults = ChooseSearchDefaults(codebook_->spec(), codebook_->probe_rule(),
                                          codebook_->search_needs(), points());
  }
  view->calibration = calibration_;
  view->settings = settings_;
  view->indexes = indexes_;
  view->version = ++view_version_;
  view->sequence = sequence_.load();
  if (lists_ != nullptr) {
    view->lists = lists_->Snapshot();
    if (calibration_ != nullptr) {
      view->defaults = calibration_->Deepened(view->defaults, ChoiceIn(*view));
    }
  }
  if (auto before = view_.exchange(std::move(view))) old_views_.push_back(std::move(before));
  DropReleasedViews();
}

bool Collection::AwaitDrop() {
  if (!dropping_.load()) return false;
  queue_.RunExclusive([] { return absl::OkStatus(); }).IgnoreError();
  return dropped_.load();
}

absl::Status Collection::Drop(std::unique_ptr<StoreBatch> batch,
                              const std::function<void()>& dropped) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    DeleteCollectionRecords(id_, *batch);
    dropping_.store(true);
    if (absl::Status status = store_.Commit(*batch, Durability::kSync); !status.ok()) {
      dropping_.store(false);
      return status;
    }
    dropped();
    dropped_.store(true);
    if (row_file_ != nullptr) row_file_->Remove();
    if (owned_payload_copy_ != nullptr) owned_payload_copy_->file().Remove();
    return absl::OkStatus();
  });
}

}  // namespace tessera
