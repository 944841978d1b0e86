// Payload indexes: built from a walk over the store while writes go on, and kept up to date by
// the commits. Their definitions are in the store; collection_index_contents.cc puts there what
// they hold.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

// Points between two looks at whether the operation has been cancelled.
constexpr uint64_t kProgressPoints = 4096;

}  // namespace

absl::Status Collection::CheckNewPayloadIndex(const PayloadIndexSpec& spec) const {
  if (std::string problem = spec.key.Violation(); !problem.empty()) {
    return InvalidField("key", problem);
  }
  if (dropped_.load()) return Missing();
  if (indexes_->fields.contains(spec.key.text())) {
    return ErrorWithReason(
        absl::StatusCode::kAlreadyExists, "PAYLOAD_INDEX_EXISTS",
        absl::StrCat("collection ", spec_.name, " has an index of ", spec.key.text(), " already"));
  }
  if (indexes_->fields.size() >= limits::kPayloadIndexesMax) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, "TOO_MANY_PAYLOAD_INDEXES",
        absl::StrCat("a collection has at most ", limits::kPayloadIndexesMax, " payload indexes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<PayloadIndexBuild> Collection::AddPayloadIndex(const PayloadIndexSpec& spec) {
  PayloadIndexBuild build;
  build.spec = spec;
  RETURN_IF_ERROR(queue_.RunExclusive([&]() -> absl::Status {
    RETURN_IF_ERROR(CheckNewPayloadIndex(spec));
    auto batch = store_.NewBatch();
    const std::string key = PayloadIndexKey(id_, spec.key.text());
    std::string value;
    EncodePayloadIndex(key, spec.type, &value);
    batch->Put(Family::kMeta, key, value);
    RETURN_IF_ERROR(store_.Commit(*batch, Durability::kSync));
    // From here on every commit reaches the index; the walk holds what came before.
    indexes_ = WithBuilding(*indexes_, spec);
    build.generation = indexes_->generation;
    build.points = points();
    build.records = ScanPoints();
    build.leftover = slots_.HeldSnapshot();
    Publish();
    return absl::OkStatus();
  }));
  return build;
}

absl::StatusOr<FieldColumn> Collection::ReadColumn(const PayloadIndexBuild& build,
                                                   Operations::Context& operation) const {
  FieldColumn column(build.spec.type);
  uint64_t done = 0;
  RETURN_IF_ERROR(
      ForEachPayload(*build.records, [&](Slot slot, const PointRecordView& record) -> absl::Status {
        if (build.leftover->Contains(slot)) return absl::OkStatus();
        column.Add(build.spec, ParsePayload(record.payload), slot);
        if (++done % kProgressPoints != 0) return absl::OkStatus();
        if (operation.OnProgress("reading payloads", done, std::max(done, build.points))) {
          return absl::OkStatus();
        }
        return absl::CancelledError("cancelled");
      }));
  column.Sort();
  return column;
}

absl::Status Collection::BuildPayloadIndex(const PayloadIndexBuild& build,
                                           Operations::Context& operation) {
  const std::string& key = build.spec.key.text();
  absl::StatusOr<FieldColumn> column = ReadColumn(build, operation);
  if (!column.ok()) {
    // The next start builds it, as after a kill.
    if (!operation.shutting_down()) GiveUpPayloadIndex(build);
    return column.status();
  }
  return queue_.RunExclusive([&]() -> absl::Status {
    const auto field = indexes_->fields.find(key);
    if (field == indexes_->fields.end() || field->second.added_generation != build.generation) {
      return absl::CancelledError(absl::StrCat("the index of ", key, " was dropped meanwhile"));
    }
    indexes_ = WithBuilt(*indexes_, key, *std::move(column));
    Publish();
    return absl::OkStatus();
  });
}

absl::Status Collection::DropPayloadIndex(const std::string& key) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    if (!indexes_->fields.contains(key)) return NotFound("payload index", key);
    RETURN_IF_ERROR(CommitDropOfIndex(key));
    indexes_ = WithoutField(*indexes_, key);
    Publish();
    return absl::OkStatus();
  });
}

absl::Status Collection::CommitDropOfIndex(const std::string& key) {
  auto batch = store_.NewBatch();
  batch->Delete(Family::kMeta, PayloadIndexKey(id_, key));
  return store_.Commit(*batch, Durability::kSync);
}

void Collection::GiveUpPayloadIndex(const PayloadIndexBuild& build) {
  const std::string& key = build.spec.key.text();
  const absl::Status status = queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return absl::OkStatus();
    const auto field = indexes_->fields.find(key);
    // Dropped, and perhaps added again, meanwhile: then it is not this build's any more.
    if (field == indexes_->fields.end() || field->second.added_generation != build.generation) {
      return absl::OkStatus();
    }
    // Even if the store refuses: an index that nobody builds would wait for ever.
    const absl::Status committed = CommitDropOfIndex(key);
    indexes_ = WithoutField(*indexes_, key);
    Publish();
    return committed;
  });
  if (status.ok()) return;
  Log(absl::StrCat("collection ", spec_.name, ": the index of ", key,
                   " is gone, and will be built anew by the next start: ", status.ToString()));
}

// What a group of writes takes from the indexes and gives to them. Reads the payloads of the points
// that go: slots are given again, so their values must not stay behind.
absl::Status Collection::PlanIndexChanges(std::span<PendingWrite* const> group,
                                          std::span<const Slot> new_slots,
                                          std::span<const Slot> died, IndexChanges* changes) const {
  if (indexes_->fields.empty()) return absl::OkStatus();
  const Slot* slots = new_slots.data();
  for (PendingWrite* write : group) {
    if (!write->adds_points()) continue;
    if (write->columns.generation != indexes_->generation) {
      write->columns = ExtractColumns(*indexes_, *write->payloads, write->size());
    }
    changes->Add(std::move(write->columns), {slots, write->size()});
    slots += write->size();
  }
  const absl::flat_hash_set<Slot> own(new_slots.begin(), new_slots.end());
  std::vector<Slot> old;
  for (Slot slot : died) {
    if (own.contains(slot)) {
      changes->Forget(slot);
    } else {
      old.push_back(slot);
    }
  }
  return ReadPoints(old, [&](size_t i, const PointRecordView& record) {
    changes->Remove(old[i], record.payload);
    return absl::OkStatus();
  });
}

absl::Status Collection::RecoverPayloadIndexes() {
  const KeyRange range = PayloadIndexRange(id_);
  auto it = store_.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  std::vector<PayloadIndexSpec> specs;
  auto batch = store_.NewBatch();
  bool drops = false;
  for (; it->Valid(); it->Next()) {
    std::string_view key;
    PayloadIndexSpec spec;
    RETURN_IF_ERROR(ParsePayloadIndexKey(it->key(), &key));
    RETURN_IF_ERROR(DecodePayloadIndex(it->key(), it->value(), &spec.type));
    std::optional<FieldPath> path = FieldPath::Stored(key);
    if (!path.has_value()) {
      Log(absl::StrCat("collection ", spec_.name, ": the index of \"", std::string(key),
                       "\", which is no field, is dropped: create one of the field that is meant"));
      batch->Delete(Family::kMeta, it->key());
      drops = true;
      continue;
    }
    spec.key = *std::move(path);
    indexes_ = WithBuilding(*indexes_, spec);
    specs.push_back(std::move(spec));
  }
  RETURN_IF_ERROR(it->status());
  if (drops) {
    // On a full disk the next start drops them.
    const absl::Status dropped = store_.Commit(*batch, Durability::kSync);
    if (!absl::IsResourceExhausted(dropped)) RETURN_IF_ERROR(dropped);
  }
  std::vector<PayloadIndexSpec> missing;
  RETURN_IF_ERROR(RecoverIndexContents(specs, &missing));
  return missing.empty() ? absl::OkStatus() : BuildIndexesAnew(missing);
}

absl::Status Collection::BuildIndexesAnew(const std::vector<PayloadIndexSpec>& specs) {
  std::vector<FieldColumn> columns;
  for (const PayloadIndexSpec& spec : specs) columns.emplace_back(spec.type);
  RETURN_IF_ERROR(ForEachPayload(*ScanPoints(), [&](Slot slot, const PointRecordView& record) {
    if (slots_.held().Contains(slot)) return absl::OkStatus();
    const nlohmann::json payload = ParsePayload(record.payload);
    for (size_t i = 0; i < specs.size(); ++i) columns[i].Add(specs[i], payload, slot);
    return absl::OkStatus();
  }));
  for (size_t i = 0; i < specs.size(); ++i) {
    columns[i].Sort();
    indexes_ = WithReady(*indexes_, std::make_shared<FieldIndex>(specs[i], columns[i]));
  }
  return absl::OkStatus();
}

}  // namespace tessera
