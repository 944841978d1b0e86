// Writes that depend on what is there: they read, and write only if nothing has changed since.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

// Each time that points are written between the reading and the writing costs one.
constexpr int kAttempts = 100;
// Points deleted in one write.
constexpr size_t kDeleteStep = 10'000;

}  // namespace

absl::StatusOr<WriteResult> Collection::DeleteMatching(const Filter& filter) {
  // As long as the view is held, a slot in it is given to no other point.
  const auto held = view();
  ASSIGN_OR_RETURN(const auto matches, FindMatches(*held, filter));
  WriteResult total;
  total.sequence = sequence_.load();
  std::vector<PointId> ids;
  std::vector<Slot> slots;
  const auto flush = [&]() -> absl::Status {
    if (ids.empty()) return absl::OkStatus();
    PendingWrite write;
    write.kind = PendingWrite::Kind::kDelete;
    write.ids = &ids;
    write.expected_slots = &slots;
    write.durability = held->settings->durability;
    RETURN_IF_ERROR(queue_.Submit(write));
    total.points += write.result.points;
    total.sequence = write.result.sequence;
    ids.clear();
    slots.clear();
    return absl::OkStatus();
  };
  for (Slot slot : matches->slots) {
    if (held->dead->Contains(slot)) continue;
    ids.push_back(table_.id(slot));
    slots.push_back(slot);
    if (ids.size() == kDeleteStep) RETURN_IF_ERROR(flush());
  }
  RETURN_IF_ERROR(flush());
  return total;
}

absl::StatusOr<WriteResult> Collection::Rewrite(const std::vector<PointId>& ids,
                                                const PointEdit& edit) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto held = view();
    std::vector<Slot> slots;
    RETURN_IF_ERROR(FindSlots(ids, &slots));
    std::vector<std::optional<PointData>> points(ids.size());
    std::vector<Slot> present;
    std::vector<size_t> rows;
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] == kInvalidSlot) continue;
      present.push_back(slots[i]);
      rows.push_back(i);
    }
    RETURN_IF_ERROR(ReadPoints(present, [&](size_t i, const PointRecordView& record) {
      points[rows[i]] = {ToPointId(record.id), std::string(record.vector),
                         std::string(record.payload)};
    }));
    UpsertBatch batch;
    std::vector<Slot> expected;
    std::string vectors;
    bool moved = false;
    for (size_t row : rows) {
      if (!points[row].has_value() || points[row]->id != ids[row]) {
        moved = true;
        break;
      }
      RETURN_IF_ERROR(edit(row, &*points[row]));
      batch.ids.push_back(ids[row]);
      batch.payloads.push_back(std::move(points[row]->payload));
      vectors += points[row]->vector;
      expected.push_back(slots[row]);
    }
    if (moved) continue;
    if (batch.ids.empty()) return WriteResult{.points = 0, .sequence = sequence_.load()};
    batch.vectors = {reinterpret_cast<const std::byte*>(vectors.data()), spec_.element_type,
                     batch.ids.size(), spec_.dimension};
    const absl::StatusOr<WriteResult> result = UpsertExpected(batch, &expected);
    if (!absl::IsAborted(result.status())) return result;
  }
  return ErrorWithReason(absl::StatusCode::kUnavailable, "WRITE_CONTENTION",
                         "the points were written all the time by others; try again");
}

absl::StatusOr<WriteResult> Collection::UpdateVectors(const std::vector<PointId>& ids,
                                                      VectorsView vectors) {
  if (vectors.rows != ids.size() || vectors.dim != spec_.dimension) {
    return InvalidField("vectors",
                        absl::StrCat("has ", vectors.rows, " vectors of dimension ", vectors.dim,
                                     " for ", ids.size(), " ids of dimension ", spec_.dimension));
  }
  std::string rows(ids.size() * vector_bytes(), 0);
  const absl::Status status =
      ConvertVectors(vectors, spec_.element_type, reinterpret_cast<std::byte*>(rows.data()));
  if (!status.ok()) return InvalidField("vectors", std::string(status.message()));
  return Rewrite(ids, [&](size_t i, PointData* point) {
    point->vector = rows.substr(i * vector_bytes(), vector_bytes());
    return absl::OkStatus();
  });
}

}  // namespace tessera
