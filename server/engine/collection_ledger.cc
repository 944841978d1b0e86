// Idempotent retries: a write with a request id is remembered, in the batch that writes it, and
// sent again it is answered from memory.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

uint32_t ExtendByText(uint32_t crc, std::string_view text) {
  const auto size = static_cast<uint64_t>(text.size());
  return ExtendCrc32c(ExtendCrc32c(crc, &size, sizeof(size)), text.data(), text.size());
}

uint32_t Fingerprint(const PendingWrite& write, size_t vector_bytes) {
  uint32_t crc = Crc32c(&write.kind, sizeof(write.kind));
  std::string key;
  for (const PointId& id : *write.ids) {
    key.clear();
    AppendIdKey(0, id, &key);
    crc = ExtendByText(crc, key);
  }
  if (write.kind != PendingWrite::Kind::kUpsert) return crc;
  crc = ExtendCrc32c(crc, write.vectors, write.size() * vector_bytes);
  for (const std::string& payload : *write.payloads) crc = ExtendByText(crc, payload);
  return crc;
}

absl::Status CheckRequestId(const std::string& request_id) {
  if (request_id.size() <= limits::kRequestIdBytesMax) return absl::OkStatus();
  return InvalidField("request_id", absl::StrCat("has ", request_id.size(), " bytes; at most ",
                                                 limits::kRequestIdBytesMax, " are allowed"));
}

absl::Status OtherRequest() { return InvalidField("request_id", "belongs to another request"); }

}  // namespace

Durability Collection::DurabilityOf(const WriteOptions& options) const {
  return options.durability.value_or(view()->settings->durability);
}

absl::Status Collection::SetWriteOptions(const WriteOptions& options, PendingWrite* write) const {
  write->durability = DurabilityOf(options);
  if (options.request_id.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckRequestId(options.request_id));
  write->request_id = &options.request_id;
  write->fingerprint =
      options.fingerprint ? *options.fingerprint : Fingerprint(*write, vector_bytes());
  return absl::OkStatus();
}

absl::StatusOr<std::optional<WriteResult>> Collection::KnownAnswer(const WriteOptions& options) {
  if (options.request_id.empty()) return std::nullopt;
  RETURN_IF_ERROR(CheckRequestId(options.request_id));
  std::optional<WriteResult> answer;
  RETURN_IF_ERROR(queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    const LedgerEntry* known = ledger_.Find(options.request_id);
    if (known == nullptr) return absl::OkStatus();
    if (known->fingerprint != options.fingerprint) return OtherRequest();
    answer = known->result;
    return absl::OkStatus();
  }));
  if (answer && DurabilityOf(options) == Durability::kSync) RETURN_IF_ERROR(store_.Sync());
  return answer;
}

absl::StatusOr<WriteResult> Collection::RecordAnswer(const WriteOptions& options, uint64_t points) {
  if (options.request_id.empty()) {
    // What left nothing to do may be a write that is not synced.
    const bool synced = points > 0 || DurabilityOf(options) == Durability::kAsync;
    if (!synced) RETURN_IF_ERROR(store_.Sync());
    return WriteResult{.points = points, .sequence = sequence_.load()};
  }
  const std::vector<PointId> none;
  PendingWrite write;
  write.kind = PendingWrite::Kind::kDelete;
  write.ids = &none;
  write.points_before = points;
  RETURN_IF_ERROR(SetWriteOptions(options, &write));
  return Submit(write);
}

// What is to be done with a group: the writes that are new, and for each of the others, the one of
// the group that it repeats, or null if the ledger had the answer.
Collection::NewWrites Collection::TakeNewWrites(std::span<PendingWrite* const> group) const {
  NewWrites taken;
  absl::flat_hash_map<std::string_view, PendingWrite*> in_group;
  for (PendingWrite* write : group) {
    if (write->request_id == nullptr) {
      taken.writes.push_back(write);
      continue;
    }
    const LedgerEntry* known = ledger_.Find(*write->request_id);
    PendingWrite* first = nullptr;
    if (known == nullptr) {
      const auto [it, fresh] = in_group.emplace(*write->request_id, write);
      if (fresh) {
        taken.writes.push_back(write);
        continue;
      }
      first = it->second;
    }
    if ((known != nullptr ? known->fingerprint : first->fingerprint) != write->fingerprint) {
      write->refusal = OtherRequest();
    } else if (known != nullptr) {
      write->result = known->result;
    } else {
      taken.repeats.emplace_back(write, first);
    }
  }
  return taken;
}

// Adds the new writes' entries to the batch, and deletes the oldest over the limit.
void Collection::PlanLedger(std::span<PendingWrite* const> writes, StoreBatch& batch) const {
  size_t added = 0;
  std::string value;
  for (const PendingWrite* write : writes) {
    if (write->request_id == nullptr || !write->refusal.ok()) continue;
    const std::string key = RequestKey(id_, *write->request_id);
    EncodeRequest(key, {write->fingerprint, write->result}, &value);
    batch.Put(Family::kMeta, key, value);
    ++added;
  }
  const size_t after = ledger_.size() + added;
  const size_t over = after - std::min(after, limits::kRequestIdsKeptMax);
  for (size_t i = 0; i < std::min(over, ledger_.size()); ++i) {
    batch.Delete(Family::kMeta, RequestKey(id_, ledger_.entry(i).request_id));
  }
}

void Collection::ApplyLedger(std::span<PendingWrite* const> writes) {
  for (const PendingWrite* write : writes) {
    if (write->request_id == nullptr || !write->refusal.ok()) continue;
    ledger_.Add({*write->request_id, write->fingerprint, write->result});
    if (ledger_.size() > limits::kRequestIdsKeptMax) ledger_.DropOldest();
  }
}

absl::Status Collection::RecoverLedger() {
  const KeyRange range = RequestRange(id_);
  std::vector<LedgerEntry> entries;
  auto it = store_.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  for (; it->Valid(); it->Next()) {
    std::string_view request_id;
    RequestRecord record;
    RETURN_IF_ERROR(ParseRequestKey(it->key(), &request_id));
    RETURN_IF_ERROR(DecodeRequest(it->key(), it->value(), &record));
    entries.push_back({std::string(request_id), record.fingerprint, record.result});
  }
  RETURN_IF_ERROR(it->status());
  std::sort(entries.begin(), entries.end(), [](const LedgerEntry& a, const LedgerEntry& b) {
    return a.result.sequence < b.result.sequence;
  });
  for (LedgerEntry& entry : entries) ledger_.Add(std::move(entry));
  return absl::OkStatus();
}

}  // namespace tessera
