// What payload indexes hold, in the store: written now and then in the background, and read at a
// start. In between, every commit says which slots it touches, and a start reads their payloads.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/index_contents.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

// Changes that are not worth writing the contents again, however few points there are: a start
// reads so many payloads in some milliseconds.
constexpr uint64_t kChangesMin = 1'000;
// So large a part of the points may be read again by a start: an eighth takes some 0.7 s a million
// points. While points are loaded the contents are then written eight times over in all.
constexpr uint64_t kPointsPerChange = 8;
constexpr uint64_t kPointsPerChangeQuiet = 64;

constexpr absl::Duration kRetryPause = absl::Minutes(1);

// Payloads that are read at a time.
constexpr size_t kReadSlots = 4'096;

}  // namespace

void Collection::KeepIndexContents(absl::Time quiet_since, const std::function<bool()>& go_on) {
  if (dropped_.load() || absl::Now() < index_contents_retry_) return;
  if (!AreIndexContentsDue(quiet_since)) return;
  const absl::Status status = StoreIndexContents(go_on);
  if (status.ok() || absl::IsCancelled(status) || dropped_.load()) return;
  index_contents_retry_ = absl::Now() + kRetryPause;
  Log(absl::StrCat("collection ", spec_.name,
                   ": storing what its payload indexes hold: ", status.ToString()));
}

bool Collection::AreIndexContentsDue(absl::Time quiet_since) const {
  std::vector<PayloadIndexSpec> ready;
  for (const auto& [key, field] : view()->indexes->fields) {
    if (!field.ready) return false;  // it would be written again soon
    ready.push_back(field.index->spec());
  }
  if (ready != stored_indexes_) return true;
  if (ready.empty()) return false;
  const bool quiet = absl::FromUnixMillis(last_write_ms_.load()) < quiet_since;
  const uint64_t part = points() / (quiet ? kPointsPerChangeQuiet : kPointsPerChange);
  return index_changes_.load(std::memory_order_relaxed) > std::max(kChangesMin, part);
}

absl::Status Collection::StoreIndexContents(const std::function<bool()>& go_on) {
  std::vector<PayloadIndexSpec> ready;
  std::vector<std::shared_ptr<const FieldIndex>> indexes;
  IndexContentsRecord record;
  record.number = ++index_contents_number_;
  uint64_t changes = 0;
  absl::Status status = queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    for (const auto& [key, field] : indexes_->fields) {
      if (!field.ready) continue;
      ready.push_back(field.index->spec());
      indexes.push_back(field.index);
    }
    record.sequence = sequence_.load();
    record.slot_end = slots_.end();
    changes = index_changes_.exchange(0, std::memory_order_relaxed);
    // What is committed from here on is not in them.
    records_index_changes_ = true;
    if (!ready.empty()) return absl::OkStatus();
    auto batch = store_.NewBatch();
    DeleteIndexContents(id_, *batch);
    RETURN_IF_ERROR(store_.Commit(*batch, Durability::kAsync));
    records_index_changes_ = false;
    return absl::OkStatus();
  });
  if (status.ok() && !ready.empty()) {
    status = WriteIndexParts(store_, id_, indexes, go_on, &record);
    if (status.ok()) {
      status = queue_.RunExclusive([&]() -> absl::Status {
        if (dropped_.load()) return Missing();
        auto batch = store_.NewBatch();
        PutIndexContents(id_, record, *batch);
        // Until it is on disk, what was there before counts.
        return store_.Commit(*batch, Durability::kAsync);
      });
    }
  }
  if (!status.ok()) {
    index_changes_.fetch_add(changes, std::memory_order_relaxed);
    return status;
  }
  hooks_.wrote_async();
  stored_indexes_ = std::move(ready);
  return absl::OkStatus();
}

void Collection::RecordIndexChanges(uint64_t sequence, std::span<const Slot> new_slots,
                                    std::span<const Slot> died, StoreBatch& batch) {
  const uint64_t before = sequence_.load();
  if (!records_index_changes_ || sequence == before) return;
  std::vector<Slot> slots(new_slots.begin(), new_slots.end());
  slots.insert(slots.end(), died.begin(), died.end());
  index_changes_.fetch_add(1 + slots.size(), std::memory_order_relaxed);
  PutIndexChanges(id_, before, sequence, std::move(slots), batch);
}

absl::Status Collection::RecoverIndexContents(const std::vector<PayloadIndexSpec>& specs,
                                              std::vector<PayloadIndexSpec>* missing) {
  ASSIGN_OR_RETURN(StoredIndexes stored, ReadStoredIndexes(store_, id_, sequence_.load(), specs));
  index_contents_number_ = stored.last_number;
  if (!stored.problem.empty()) {
    stored_indexes_ = std::nullopt;
    Log(absl::StrCat(
        "collection ", spec_.name,
        ": the stored contents of its payload indexes are of no use: ", stored.problem));
  }
  if (stored.record.has_value()) {
    for (const IndexContentsRecord::Field& field : stored.record->fields) {
      const std::optional<FieldPath> path = FieldPath::Stored(field.key);
      if (path.has_value()) stored_indexes_->push_back({*path, field.type});
    }
    records_index_changes_ = true;
    index_changes_.store(stored.changes, std::memory_order_relaxed);
    RETURN_IF_ERROR(ReadChangedPayloads(stored.changed, &stored.fields));
  }
  for (const PayloadIndexSpec& spec : specs) {
    const auto field = stored.fields.find(spec.key.text());
    if (field == stored.fields.end()) {
      missing->push_back(spec);
    } else {
      indexes_ = WithReady(*indexes_, field->second);
    }
  }
  return absl::OkStatus();
}

// Gives indexes what the points that lie in these slots now hold.
absl::Status Collection::ReadChangedPayloads(
    const Roaring& changed, std::map<std::string, std::shared_ptr<const FieldIndex>>* fields) {
  std::vector<FieldColumn> added;
  for (const auto& [key, index] : *fields) added.emplace_back(index->spec().type);
  std::vector<Slot> some;
  const auto read = [&]() -> absl::Status {
    RETURN_IF_ERROR(ReadPoints(some, [&](size_t i, const PointRecordView& record) {
      const nlohmann::json payload = ParsePayload(record.payload);
      auto column = added.begin();
      for (const auto& [key, index] : *fields) (column++)->Add(index->spec(), payload, some[i]);
      return absl::OkStatus();
    }));
    some.clear();
    return absl::OkStatus();
  };
  for (auto slot = changed.begin(); slot != changed.end() && *slot < slots_.end(); ++slot) {
    if (slots_.held().Contains(*slot)) continue;
    some.push_back(*slot);
    if (some.size() == kReadSlots) RETURN_IF_ERROR(read());
  }
  RETURN_IF_ERROR(read());
  auto column = added.begin();
  for (auto& [key, index] : *fields) {
    column->Sort();
    index = index->With(FieldColumn(index->spec().type), *column);
    ++column;
  }
  return absl::OkStatus();
}

// An index knows every point and no other slot; else it is built anew.
absl::Status Collection::CheckRecoveredIndexes(const std::vector<bool>& live) {
  std::vector<PayloadIndexSpec> wrong;
  for (const auto& [key, field] : indexes_->fields) {
    const Roaring& covered = field.index->covered();
    bool fits = covered.cardinality() == points();
    for (auto slot = covered.begin(); fits && slot != covered.end(); ++slot) {
      fits = *slot < live.size() && live[*slot];
    }
    if (fits) continue;
    Log(absl::StrCat("collection ", spec_.name, ": what is stored of the payload index of ", key,
                     " is not of its points"));
    wrong.push_back(field.index->spec());
  }
  if (wrong.empty()) return absl::OkStatus();
  stored_indexes_ = std::nullopt;
  return BuildIndexesAnew(wrong);
}

}  // namespace tessera
