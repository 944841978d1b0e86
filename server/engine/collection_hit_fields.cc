// Payloads and vectors of the points that a search has found: from memory and the copies beside the
// store, and what those do not have from the store.
#include <algorithm>
#include <memory>
#include <utility>

#include "index/base/status_macros.h"
#include "server/engine/answer_room.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"
#include "server/engine/search_parts.h"
#include "server/filter/payload_edit.h"

namespace tessera {
namespace {

// A point that is read from the store takes as long as so many bytes of codes.
constexpr size_t kStoredPointBytes = size_t{40} << 10;
// As many payloads that searches have read from the store make a copy worth its room.
constexpr size_t kPayloadsForCopy = 1'000;
// Bounds what is in memory of an answer that is too large.
constexpr size_t kHitsAtOnce = 256;

}  // namespace

bool CollectionReader::FillsFromDisk(const PointFields& fields) const {
  return fields.payload.enabled || (fields.vector && !vectors_in_memory());
}

bool CollectionReader::HasCopiesOf(const PointFields& fields) const {
  const PayloadCopy* const copy = payload_copy_.load();
  const bool payloads = copy != nullptr && copy->file().is_usable();
  return (!fields.payload.enabled || payloads) &&
         (!fields.vector || vectors_in_memory() || row_file_ != nullptr);
}

bool CollectionReader::IsPayloadCopyWanted() const {
  return payloads_from_store_.load(std::memory_order_relaxed) >= kPayloadsForCopy;
}

absl::Status CollectionReader::FillFields(const PointFields& fields, bool may_wait,
                                          std::span<std::vector<Hit>> rows) const {
  if (!fields.payload.enabled && !fields.vector) return absl::OkStatus();
  std::vector<Hit*> hits;
  for (std::vector<Hit>& row : rows) {
    for (Hit& hit : row) hits.push_back(&hit);
  }
  AnswerRoom own;
  AnswerRoom& room = fields.room == nullptr ? own : *fields.room;
  const auto fill = [&](size_t begin, size_t end) -> absl::Status {
    for (size_t at = begin; at < end; at += kHitsAtOnce) {
      const auto some = std::span<Hit* const>(hits).subspan(at, std::min(kHitsAtOnce, end - at));
      RETURN_IF_ERROR(FillSome(fields, may_wait, some));
      size_t bytes = 0;
      for (const Hit* hit : some) bytes += hit->payload.size() + hit->vector.size();
      RETURN_IF_ERROR(room.Take(bytes));
    }
    return absl::OkStatus();
  };
  return ForEachPart(search_executor_, hits.size(), kStoredPointBytes, fill);
}

absl::Status CollectionReader::FillSome(const PointFields& fields, bool may_wait,
                                        std::span<Hit* const> hits) const {
  ASSIGN_OR_RETURN(const std::vector<Hit*> left, FillFromCopies(fields, may_wait, hits));
  if (left.empty()) return absl::OkStatus();
  if (!may_wait) return MustWait();
  return FillFromStore(fields, left);
}

absl::StatusOr<std::vector<Hit*>> CollectionReader::FillFromCopies(
    const PointFields& fields, bool may_wait, std::span<Hit* const> hits) const {
  std::vector<Slot> slots;
  slots.reserve(hits.size());
  for (const Hit* hit : hits) slots.push_back(hit->slot);
  std::vector<bool> filled(hits.size(), true);
  if (fields.payload.enabled) {
    filled.assign(hits.size(), false);
    const PayloadCopy* const copy = payload_copy_.load();
    const auto found = [&](size_t i, std::string_view payload) {
      hits[i]->payload = SelectPayload(payload, fields.payload);
      filled[i] = true;
    };
    if (copy != nullptr && !copy->Read(slots, may_wait, found)) return MustWait();
  }
  if (fields.vector && (vectors_in_memory() || row_file_ != nullptr)) {
    const size_t row_bytes = vector_bytes();
    std::string vectors(slots.size() * row_bytes, '\0');
    auto* const out = reinterpret_cast<std::byte*>(vectors.data());
    const auto there = std::make_unique<bool[]>(slots.size());
    if (!CopyVectors(slots, may_wait, out, there.get())) return MustWait();
    for (size_t i = 0; i < hits.size(); ++i) {
      if (there[i]) hits[i]->vector = vectors.substr(i * row_bytes, row_bytes);
      filled[i] = filled[i] && there[i];
    }
  } else if (fields.vector) {
    filled.assign(hits.size(), false);
  }
  std::vector<Hit*> left;
  for (size_t i = 0; i < hits.size(); ++i) {
    if (!filled[i]) left.push_back(hits[i]);
  }
  return left;
}

// A point replaced meanwhile answers with what it holds now, one deleted without fields.
absl::Status CollectionReader::FillFromStore(const PointFields& fields,
                                             std::span<Hit* const> hits) const {
  std::vector<Slot> slots;
  slots.reserve(hits.size());
  for (const Hit* hit : hits) slots.push_back(hit->slot);
  size_t payloads = 0;
  RETURN_IF_ERROR(ReadSlotsOrIds(slots, [&](size_t i, const PointRecordView& record) {
    Hit& hit = *hits[i];
    if (record.id != ViewOf(hit.id)) return WrongPoint(hit.id, hit.slot, record);
    payloads += record.payload.empty() ? 0 : 1;
    hit.payload = SelectPayload(record.payload, fields.payload);
    if (fields.vector) hit.vector = std::string(record.vector);
    return absl::OkStatus();
  }));
  if (fields.payload.enabled && payload_copy_.load() == nullptr) {
    const size_t before = payloads_from_store_.fetch_add(payloads, std::memory_order_relaxed);
    if (before < kPayloadsForCopy && before + payloads >= kPayloadsForCopy) {
      payload_copy_due_();
    }
  }
  return absl::OkStatus();
}

}  // namespace tessera
