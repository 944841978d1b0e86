// Writes that depend on what is there: they read, and write only if nothing has changed since.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"
#include "server/filter/evaluate.h"

namespace tessera {
namespace {

// Each time that points are written between the reading and the writing costs one.
constexpr int kAttempts = 100;
// Points in one write, where a filter names those to be edited.
constexpr size_t kEditStep = 1'000;
static_assert(kEditStep * (limits::kPayloadBytesMax + limits::kDimensionMax * sizeof(float)) <=
              limits::kEditBytesMax);

// What these writes write follows from what is there: a repeated one is told by its caller's
// checksum.
WriteOptions ByCallersFingerprint(const WriteOptions& options) {
  WriteOptions result = options;
  result.fingerprint = options.fingerprint.value_or(0);
  return result;
}

// The bytes of points that are edited together, and written in one batch.
class EditSize {
 public:
  absl::Status Add(size_t vector, size_t payload) {
    bytes_ += vector + payload;
    if (bytes_ <= limits::kEditBytesMax) return absl::OkStatus();
    return InvalidField("ids", absl::StrCat("name points of more than ", limits::kEditBytesMax,
                                            " bytes, vectors and payloads together"));
  }

 private:
  size_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<WriteResult> Collection::DeleteMatching(const Filter& filter,
                                                       const WriteOptions& given) {
  const WriteOptions options = ByCallersFingerprint(given);
  ASSIGN_OR_RETURN(const auto known, KnownAnswer(options));
  if (known) return *known;
  // As long as the view is held, a slot in it is given to no other point.
  const auto held = view();
  ASSIGN_OR_RETURN(const auto matches, FindMatches(*held, filter));
  std::vector<Slot> slots;
  for (Slot slot : matches->slots()) {
    if (!held->dead->Contains(slot)) slots.push_back(slot);
  }
  if (slots.empty()) return RecordAnswer(options, 0);
  if (slots.size() > deletion_step_points_) return DeleteMany(std::move(slots), options);
  std::vector<PointId> ids;
  for (Slot slot : slots) ids.push_back(table_.id(slot));
  PendingWrite write;
  write.kind = PendingWrite::Kind::kDelete;
  write.ids = &ids;
  write.expected_slots = &slots;
  RETURN_IF_ERROR(SetWriteOptions(options, &write));
  return Submit(write);
}

absl::StatusOr<bool> Collection::ReadAndEdit(const std::vector<PointId>& ids, const Filter& filter,
                                             const PointEdit& edit, EditedPoints* edited) const {
  std::vector<Slot> slots;
  RETURN_IF_ERROR(FindSlots(ids, &slots));
  std::vector<std::optional<PointData>> points(ids.size());
  std::vector<bool> matches(ids.size(), true);
  std::vector<Slot> present;
  std::vector<size_t> rows;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == kInvalidSlot) continue;
    present.push_back(slots[i]);
    rows.push_back(i);
  }
  EditSize read;
  RETURN_IF_ERROR(ReadPoints(present, [&](size_t i, const PointRecordView& record) {
    const size_t row = rows[i];
    matches[row] = filter.empty() || MatchesText(filter, record.id, record.payload);
    points[row] = {ToPointId(record.id), std::string(record.vector), std::string(record.payload)};
    return read.Add(record.vector.size(), record.payload.size());
  }));
  EditSize written;
  for (size_t row : rows) {
    if (!points[row].has_value() || points[row]->id != ids[row]) return false;
    PointData point = *std::move(points[row]);
    points[row].reset();
    if (!matches[row]) continue;
    RETURN_IF_ERROR(edit(row, &point));
    RETURN_IF_ERROR(written.Add(point.vector.size(), point.payload.size()));
    edited->batch.ids.push_back(ids[row]);
    edited->batch.payloads.push_back(std::move(point.payload));
    edited->vectors += point.vector;
    edited->slots.push_back(slots[row]);
  }
  edited->batch.vectors = {reinterpret_cast<const std::byte*>(edited->vectors.data()),
                           spec_.element_type, edited->batch.ids.size(), spec_.dimension};
  return true;
}

absl::StatusOr<WriteResult> Collection::Rewrite(const std::vector<PointId>& ids,
                                                const Filter& filter, const PointEdit& edit,
                                                const WriteOptions& options) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // As long as the view is held, a slot that is read here is given to no other point.
    const auto held = view();
    EditedPoints edited;
    ASSIGN_OR_RETURN(const bool whole, ReadAndEdit(ids, filter, edit, &edited));
    if (!whole) continue;
    if (edited.batch.ids.empty()) return RecordAnswer(options, 0);
    edited.batch.options = options;
    const absl::StatusOr<WriteResult> result = UpsertExpected(edited.batch, &edited.slots);
    if (!absl::IsAborted(result.status())) return result;
  }
  return ErrorWithReason(absl::StatusCode::kUnavailable, "WRITE_CONTENTION",
                         "the points were written all the time by others; try again");
}

absl::StatusOr<WriteResult> Collection::EditPoints(const std::vector<PointId>& ids,
                                                   const PointEdit& edit,
                                                   const WriteOptions& given) {
  const WriteOptions options = ByCallersFingerprint(given);
  ASSIGN_OR_RETURN(const auto known, KnownAnswer(options));
  if (known) return *known;
  return Rewrite(ids, {}, edit, options);
}

absl::StatusOr<WriteResult> Collection::EditMatching(const Filter& filter, const PointEdit& edit,
                                                     const WriteOptions& given) {
  const WriteOptions options = ByCallersFingerprint(given);
  ASSIGN_OR_RETURN(const auto known, KnownAnswer(options));
  if (known) return *known;
  ASSIGN_OR_RETURN(const std::vector<PointId> ids, MatchingIds(filter));
  uint64_t edited = 0;
  for (size_t begin = 0; begin < ids.size(); begin += kEditStep) {
    const std::span<const PointId> some(&ids[begin], std::min(kEditStep, ids.size() - begin));
    ASSIGN_OR_RETURN(const WriteResult result, Rewrite({some.begin(), some.end()}, filter, edit,
                                                       {.durability = options.durability}));
    edited += result.points;
  }
  return RecordAnswer(options, edited);
}

absl::StatusOr<WriteResult> Collection::UpdateVectors(const std::vector<PointId>& ids,
                                                      VectorsView vectors,
                                                      const WriteOptions& options) {
  if (vectors.rows != ids.size() || vectors.dim != spec_.dimension) {
    return InvalidField("vectors",
                        absl::StrCat("has ", vectors.rows, " vectors of dimension ", vectors.dim,
                                     " for ", ids.size(), " ids of dimension ", spec_.dimension));
  }
  std::string rows(ids.size() * vector_bytes(), 0);
  RETURN_IF_ERROR(ConvertForStorage(vectors, reinterpret_cast<std::byte*>(rows.data())));
  const PointEdit edit = [&](size_t i, PointData* point) {
    point->vector = rows.substr(i * vector_bytes(), vector_bytes());
    return absl::OkStatus();
  };
  return EditPoints(ids, edit, options);
}

}  // namespace tessera
