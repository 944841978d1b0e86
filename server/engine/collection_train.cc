// Codebooks: training, encoding all points, and the switch to a new version.
#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/collection.h"
#include "server/engine/collection_spec.h"
#include "server/engine/content_hash.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr size_t kEncodeBatchRows = 8192;
constexpr size_t kSampleBatchRows = 4096;
// Points that arrive while the rest is encoded are encoded in further rounds, without stopping
// writes, until a round is this small or this many rounds have passed.
constexpr Slot kLastRoundSlots = 20'000;
constexpr int kCatchUpRounds = 20;

}  // namespace

absl::StatusOr<CodebookSpec> Collection::TrainingSpec(const TrainRequest& request) const {
  const uint64_t points = this->points();
  if (points == 0) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "TOO_FEW_POINTS",
                           absl::StrCat("collection ", spec_.name, " has no points to train on"));
  }
  const IndexConfig index = view()->settings->index;
  CodebookSpec spec;
  spec.metric = spec_.metric;
  spec.dimension = spec_.dimension;
  spec.nlist = request.nlist != 0 ? request.nlist : index.nlist;
  spec.subquantizers = index.subquantizers;
  spec.nbits = index.nbits;
  spec.seed = request.seed != 0 ? request.seed : index.seed;
  spec.iterations = index.iterations;
  spec.training_vectors_per_list = index.training_vectors_per_list;
  ChooseIndexParameters(spec_.metric, spec_.dimension, points, RerankSourceOf(index.vectors),
                        &spec);
  if (spec.nlist > limits::kListsMax) {
    return InvalidField(
        "nlist", absl::StrCat("is ", spec.nlist, "; at most ", limits::kListsMax, " is allowed"));
  }
  if (spec.nlist > points) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "TOO_FEW_POINTS",
                           absl::StrCat("collection ", spec_.name, " has ", points, " points; ",
                                        spec.nlist, " lists need at least as many"));
  }
  return spec;
}

absl::Status Collection::CheckTrainable(const TrainRequest& request) const {
  RETURN_IF_ERROR(CheckRoomForCodebook());
  return TrainingSpec(request).status();
}

absl::Status Collection::CheckRoomForCodebook() const {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> versions, CodebookVersions());
  if (versions.size() < limits::kCodebooksKeptMax) return absl::OkStatus();
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "TOO_MANY_CODEBOOKS",
                         absl::StrCat("collection ", spec_.name, " keeps ", versions.size(),
                                      " codebooks, the limit is ", limits::kCodebooksKeptMax,
                                      "; delete one that is not needed any more"));
}

absl::StatusOr<std::vector<uint32_t>> Collection::CodebookVersions() const {
  const KeyRange range = CollectionRange(id_);
  std::vector<uint32_t> versions;
  auto it = store_.Scan(Family::kCodebooks, range.begin, range.end, /*bulk=*/false);
  for (; it->Valid(); it->Next()) {
    if (IsCentroidKey(it->key())) continue;
    CodebookKeyParts key;
    RETURN_IF_ERROR(ParseCodebookKey(it->key(), &key));
    versions.push_back(key.version);
  }
  RETURN_IF_ERROR(it->status());
  return versions;
}

// Draws the vectors to train on: the same points and seed give the same sample.
absl::StatusOr<Collection::Sample> Collection::TrainingSample(const CodebookSpec& spec) const {
  const auto now = view();
  std::vector<Slot> live = now->LiveSlots(now->slot_end);
  const size_t affordable =
      std::max<size_t>(spec.nlist, limits::kTrainingBytesMax / (spec_.dimension * sizeof(float)));
  const size_t wanted = std::min({live.size(), size_t{spec.nlist} * spec.training_vectors_per_list,
                                  limits::kTrainingVectorsMax, affordable});
  std::mt19937_64 random(spec.seed);
  for (size_t i = 0; i < wanted; ++i) {
    std::swap(live[i], live[i + random() % (live.size() - i)]);
  }
  live.resize(wanted);
  std::sort(live.begin(), live.end());  // the order in which they lie

  Matrix sample(wanted, spec_.dimension);
  std::vector<std::byte> rows(kSampleBatchRows * vector_bytes());
  const auto found = std::make_unique<bool[]>(kSampleBatchRows);
  size_t filled = 0;
  for (size_t begin = 0; begin < wanted; begin += kSampleBatchRows) {
    const size_t n = std::min(kSampleBatchRows, wanted - begin);
    RETURN_IF_ERROR(ReadRows({live.data() + begin, n}, rows.data(), found.get()));
    for (size_t i = 0; i < n; ++i) {
      if (!found[i]) continue;  // deleted meanwhile
      live[filled] = live[begin + i];
      ToFloat(spec_.element_type, rows.data() + i * vector_bytes(), spec_.dimension,
              sample.row(filled++).data());
    }
  }
  live.resize(filled);
  if (filled == wanted) return Sample{std::move(sample), std::move(live)};
  Matrix rest(filled, spec_.dimension);
  std::copy_n(sample.data(), filled * spec_.dimension, rest.data());
  return Sample{std::move(rest), std::move(live)};
}

absl::Status Collection::Train(const TrainRequest& request, Operations::Context& operation) {
  ASSIGN_OR_RETURN(CodebookSpec spec, TrainingSpec(request));
  operation.OnProgress("sampling", 0, 1);
  ASSIGN_OR_RETURN(Sample sample, TrainingSample(spec));
  std::vector<Slot> held_back;
  for (const uint32_t row : Codebook::RowsHeldBack(sample.slots.size(), spec.nlist)) {
    held_back.push_back(sample.slots[row]);
  }
  const IndexConfig index = view()->settings->index;
  CodeUse use = {.points = points()};
  if (index.subquantizers == 0) {
    use.candidate_ns = CandidateNsOf(spec_, index.vectors);
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const Codebook> codebook,
                   Codebook::Train(spec, std::move(sample.rows), executor_, &operation, use));
  return InstallCodebook(std::move(codebook), std::move(held_back), operation);
}

// Gives a version that no codebook has had, also none that was deleted or never came into use: what
// was made with a version never means another codebook.
absl::StatusOr<uint32_t> Collection::TakeCodebookVersion() {
  uint32_t version = 0;
  const std::string key = LastCodebookKey(id_);
  RETURN_IF_ERROR(queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.Get(Family::kMeta, key));
    if (value.has_value()) RETURN_IF_ERROR(DecodeLastCodebook(key, *value, &version));
    // Before store format 2 the highest that was kept was the last that had been given.
    ASSIGN_OR_RETURN(const std::vector<uint32_t> versions, CodebookVersions());
    if (!versions.empty()) version = std::max(version, versions.back());
    ++version;
    std::string record;
    EncodeLastCodebook(key, version, &record);
    auto batch = store_.NewBatch();
    batch->Put(Family::kMeta, key, record);
    return store_.Commit(*batch, Durability::kSync);
  }));
  return version;
}

// Encodes the live points of [begin, end) and stores the codes, not yet in use, under `version`.
absl::Status Collection::EncodeRange(const CollectionView& view, const NewCodebook& codebook,
                                     Slot begin, Slot end, Operations::Context* operation,
                                     EncodedSlots* out) const {
  Matrix floats(kEncodeBatchRows, spec_.dimension);
  return ForEachLiveRow(
      view, begin, end, kEncodeBatchRows,
      [&](std::span<const Slot> slots, const std::byte* rows) -> absl::Status {
        if (operation != nullptr && !operation->OnProgress("encoding", slots.front(), end)) {
          return absl::CancelledError("cancelled while encoding");
        }
        ToFloat(spec_.element_type, rows, slots.size() * spec_.dimension, floats.data());
        const size_t first = out->slots.size();
        out->slots.insert(out->slots.end(), slots.begin(), slots.end());
        codebook.codebook->Encode(floats.view().Rows(0, slots.size()), executor_, &out->vectors);
        auto batch = store_.NewBatch();
        PutCodes(codebook, *out, first, *batch);
        // Made durable by the commit of the switch: until then nobody relies on it.
        return store_.Commit(*batch, Durability::kAsync);
      });
}

void Collection::PutCodes(const NewCodebook& codebook, const EncodedSlots& encoded, size_t begin,
                          StoreBatch& batch) const {
  const size_t code_bytes = codebook.codebook->code_bytes();
  std::string key;
  std::string value;
  for (size_t i = begin; i < encoded.slots.size(); ++i) {
    const PointId id = table_.id(encoded.slots[i]);
    CodeRecordView record;
    record.id = ViewOf(id);
    record.code = {reinterpret_cast<const char*>(encoded.vectors.codes.data()) + i * code_bytes,
                   code_bytes};
    record.bias = encoded.vectors.biases[i];
    record.error = encoded.vectors.errors[i];
    key.clear();
    AppendCodeKey({id_, codebook.version, encoded.vectors.lists[i], encoded.slots[i]}, &key);
    EncodeCode(key, record, &value);
    batch.Put(Family::kCodes, key, value);
  }
}

absl::Status Collection::InstallCodebook(std::shared_ptr<const Codebook> codebook,
                                         std::vector<Slot> held_back,
                                         Operations::Context& operation) {
  ASSIGN_OR_RETURN(const uint32_t version, TakeCodebookVersion());
  return EncodeAndSwitchOrSweep(
      {std::move(codebook), version, /*stored=*/false, std::move(held_back)}, operation);
}

absl::Status Collection::ActivateCodebook(uint32_t version, Operations::Context& operation) {
  // Another activation may have come before this one had its turn.
  RETURN_IF_ERROR(CheckActivatable(version));
  // What one that failed has left may be of points that are gone.
  RETURN_IF_ERROR(SweepCodes(version));
  ASSIGN_OR_RETURN(StoredCodebook stored, ReadCodebook(version));
  ASSIGN_OR_RETURN(const auto calibration, ReadCalibration(version));
  std::vector<Slot> held_back;
  if (calibration != nullptr) held_back = calibration->held_back;
  return EncodeAndSwitchOrSweep(
      {std::move(stored.codebook), version, /*stored=*/true, std::move(held_back)}, operation);
}

absl::Status Collection::CheckActivatable(uint32_t version) const {
  if (version == 0) return InvalidField("version", "is 0; a version is a positive number");
  if (version == view()->codebook_version) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "CODEBOOK_CURRENT",
        absl::StrCat("codebook ", version, " of collection ", spec_.name, " is the current one"));
  }
  return FindCodebook(version);
}

absl::Status Collection::DeleteCodebook(uint32_t version) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    RETURN_IF_ERROR(CheckActivatable(version));
    auto batch = store_.NewBatch();
    const KeyRange records = CodebookRange(id_, version);
    batch->DeleteRange(Family::kCodebooks, records.begin, records.end);
    batch->Delete(Family::kMeta, CalibrationKey(id_, version));
    return store_.Commit(*batch, Durability::kSync);
  });
}

absl::Status Collection::EncodeAndSwitchOrSweep(const NewCodebook& codebook,
                                                Operations::Context& operation) {
  absl::Status status = EncodeAndSwitch(codebook, operation);
  if (status.ok()) {
    operation.SetCodebookVersion(codebook.version);
    return status;
  }
  // The next activation, and recovery, would sweep these codes away as well.
  SweepCodes(codebook.version).IgnoreError();
  return status;
}

// Deletes the codes of a version that is not in use.
absl::Status Collection::SweepCodes(uint32_t version) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    if (version == codebook_version_) return absl::OkStatus();
    auto batch = store_.NewBatch();
    const KeyRange codes = CodesRange(id_, version);
    batch->DeleteRange(Family::kCodes, codes.begin, codes.end);
    return store_.Commit(*batch, Durability::kAsync);
  });
}

absl::Status Collection::EncodeAndSwitch(const NewCodebook& codebook,
                                         Operations::Context& operation) {
  // What is encoded by slot must not change hands: meanwhile new points get new slots.
  RETURN_IF_ERROR(SetSlotReuse(false));
  const absl::Status status = EncodeAndSwitchNewSlots(codebook, operation);
  RETURN_IF_ERROR(SetSlotReuse(true));
  return status;
}

absl::Status Collection::SetSlotReuse(bool reuse) {
  return queue_.RunExclusive([&] {
    slots_.SetReuse(reuse);
    // What is encoded ends where the view ends: new points must not come to lie before that.
    if (slots_.end() < view()->slot_end) Publish();
    return absl::OkStatus();
  });
}

absl::Status Collection::EncodeAndSwitchNewSlots(const NewCodebook& codebook,
                                                 Operations::Context& operation) {
  std::array<EncodedSlots, 2> encoded;
  Slot encoded_end = 0;
  RETURN_IF_ERROR(EncodeAll(codebook, operation, &encoded_end, &encoded[0]));
  operation.OnProgress("building lists", 0, 1);
  auto lists = std::make_unique<InvertedLists>(codebook.codebook);
  lists->Append(encoded[0].vectors, encoded[0].slots.data());
  if (operation.cancelled()) return absl::CancelledError("cancelled before the switch");
  ASSIGN_OR_RETURN(std::shared_ptr<const Calibration> calibration,
                   MeasureCalibration(*view(), {lists->Snapshot(), codebook.version, encoded_end},
                                      {MatrixView{}, codebook.held_back}, operation));
  // What has been written meanwhile: writes are to wait for a last few points only.
  RETURN_IF_ERROR(EncodeAll(codebook, operation, &encoded_end, &encoded[1]));
  if (!encoded[1].slots.empty()) lists->Append(encoded[1].vectors, encoded[1].slots.data());
  return queue_.RunExclusive([&]() -> absl::Status {
    return SwitchCodebook(codebook, std::move(lists), encoded, encoded_end, std::move(calibration));
  });
}

// Encodes the points from slot *encoded_end on, but for the few that have come last.
absl::Status Collection::EncodeAll(const NewCodebook& codebook, Operations::Context& operation,
                                   Slot* encoded_end, EncodedSlots* encoded) const {
  for (int round = 0; round < kCatchUpRounds; ++round) {
    const auto now = view();
    if (*encoded_end > 0 && now->slot_end - *encoded_end <= kLastRoundSlots) break;
    RETURN_IF_ERROR(EncodeRange(*now, codebook, *encoded_end, now->slot_end, &operation, encoded));
    *encoded_end = now->slot_end;
  }
  return absl::OkStatus();
}

void Collection::PutCodebook(const NewCodebook& codebook, StoreBatch& batch) const {
  const std::string bytes = codebook.codebook->Serialize();
  const std::string hash = ContentHash(bytes);
  CodebookRecordView record;
  record.create_time_ms = absl::ToUnixMillis(absl::Now());
  record.content_hash = hash;
  record.bytes = bytes;
  const std::string key = CodebookKey(id_, codebook.version);
  std::string value;
  EncodeCodebook(key, record, &value);
  batch.Put(Family::kCodebooks, key, value);
}

// In the queue's turn: no write is under way.
absl::Status Collection::SwitchCodebook(const NewCodebook& codebook,
                                        std::unique_ptr<InvertedLists> lists,
                                        std::span<const EncodedSlots> encoded, Slot encoded_end,
                                        std::shared_ptr<const Calibration> calibration) {
  const uint32_t version = codebook.version;
  if (dropped_.load()) return Missing();
  auto batch = store_.NewBatch();
  // Points that died after they were encoded. The code of one that is left over goes with its other
  // records, if those have not gone yet.
  for (const EncodedSlots& part : encoded) {
    for (size_t i = 0; i < part.slots.size(); ++i) {
      const Slot slot = part.slots[i];
      const bool left_over = slots_.held().Contains(slot) && !swept_.Contains(slot);
      if (dead_.Contains(slot) && !left_over) {
        batch->Delete(Family::kCodes, CodeKey(id_, version, part.vectors.lists[i], slot));
      }
    }
  }
  EncodedSlots rest;
  const auto now = view();
  RETURN_IF_ERROR(EncodeRange(*now, codebook, encoded_end, now->slot_end, nullptr, &rest));
  PutCatalog(version, *settings_, *batch);
  if (calibration != nullptr) {
    PutCalibration(*calibration, *batch);
  } else {
    batch->Delete(Family::kMeta, CalibrationKey(id_, version));  // of a time with more points
  }
  if (codebook_version_ != 0) {
    const KeyRange old_codes = CodesRange(id_, codebook_version_);
    batch->DeleteRange(Family::kCodes, old_codes.begin, old_codes.end);
  }
  // With the switch, and not before it: a version that is stored was in use once.
  if (!codebook.stored) {
    PutCodebook(codebook, *batch);
  } else if (!FindCodebook(version).ok()) {
    return NotFound("codebook", absl::StrCat(spec_.name, "/", version));  // deleted meanwhile
  }
  RETURN_IF_ERROR(store_.Commit(*batch, Durability::kSync));

  if (!rest.slots.empty()) lists->Append(rest.vectors, rest.slots.data());
  codebook_ = codebook.codebook;
  codebook_version_ = version;
  calibration_ = std::move(calibration);
  std::vector<const EncodedSlots*> parts = {&rest};
  for (const EncodedSlots& part : encoded) parts.push_back(&part);
  UseLists(std::move(lists), parts);
  Publish();
  return absl::OkStatus();
}

// Takes lists that hold `parts`, dead entries included, in the place of lists_.
void Collection::UseLists(std::unique_ptr<InvertedLists> lists,
                          std::span<const EncodedSlots* const> parts) {
  const ListTombstones old = std::exchange(tombstones_, ListTombstones());
  lists_ = std::move(lists);
  // Before the first list of a slot changes: searches ask afterwards what they have read.
  lists_codebook_.store(codebook_.get(), std::memory_order_relaxed);
  tombstones_.Reset(codebook_->nlist());
  list_limits_ = {};
  for (const EncodedSlots* part : parts) {
    for (size_t i = 0; i < part->slots.size(); ++i) {
      const Slot slot = part->slots[i];
      const uint32_t list = part->vectors.lists[i];
      table_.SetList(slot, list);
      if (dead_.Contains(slot)) tombstones_.Add(slot, list, lists_->list_size(list));
    }
  }
  slots_.Withdraw(tombstones_.slots());
  // What only the old lists had entries of.
  std::vector<Slot> gone;
  for (uint64_t slot = 0; slot < slots_.end(); ++slot) {
    const auto s = static_cast<Slot>(slot);
    if (old.slots().Contains(s) && !tombstones_.slots().Contains(s)) gone.push_back(s);
  }
  slots_.Retire(std::move(gone), epochs_.next());
  hooks_.lists_need_work();  // the new lists may be lopsided from the start
}

}  // namespace tessera
