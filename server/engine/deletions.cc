#include "server/engine/deletions.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/records.h"
#include "server/filter/slot_code.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

absl::Status Damaged(std::string_view key, std::string_view what) {
  return ErrorWithReason(
      absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
      absl::StrCat("deletion record under key ",
                   absl::BytesToHexString(absl::string_view(key.data(), key.size())),
                   " is damaged: ", std::string(what)));
}

}  // namespace

void PutDeletion(uint32_t collection_id, uint64_t sequence, std::span<const Slot> slots,
                 size_t step_points, StoreBatch& batch) {
  std::string bytes;
  std::string value;
  for (uint32_t part = 0; !slots.empty(); ++part) {
    const std::span<const Slot> some = slots.first(std::min(step_points, slots.size()));
    slots = slots.subspan(some.size());
    bytes.clear();
    EncodeSlots(some, &bytes);
    const std::string key = DeletionKey({collection_id, sequence, part});
    EncodeDeletion(key, bytes, &value);
    batch.Put(Family::kMeta, key, value);
  }
}

absl::Status DecodeDeletedSlots(std::string_view key, std::string_view value, uint64_t slot_end,
                                std::vector<Slot>* slots) {
  std::string_view bytes;
  RETURN_IF_ERROR(DecodeDeletion(key, value, &bytes));
  DecodedSlots decoded(slot_end);
  if (!decoded.Add(bytes)) return Damaged(key, "a slot was never given");
  const Roaring bitmap = decoded.TakeBitmap(Roaring());
  // A few bytes can stand for more than there is memory for.
  if (bitmap.isEmpty() || bitmap.cardinality() > limits::kDeletionStepPointsMax) {
    return Damaged(key, absl::StrCat("it has ", bitmap.cardinality(), " slots"));
  }
  *slots = SlotsOf(bitmap);
  return absl::OkStatus();
}

absl::Status ForEachDeletion(Store& store, uint32_t collection_id, uint64_t slot_end,
                             const std::function<void(std::span<const Slot>)>& visit) {
  const KeyRange range = DeletionRange(collection_id);
  auto it = store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  SlotSet seen;
  std::vector<Slot> slots;
  for (; it->Valid(); it->Next()) {
    DeletionKeyParts parts;
    RETURN_IF_ERROR(ParseDeletionKey(it->key(), &parts));
    RETURN_IF_ERROR(DecodeDeletedSlots(it->key(), it->value(), slot_end, &slots));
    for (Slot slot : slots) {
      if (seen.Contains(slot)) return Damaged(it->key(), "a slot of it is in another one, too");
      seen.Insert(slot);
    }
    visit(slots);
  }
  return it->status();
}

absl::StatusOr<SlotSet> DeletedSlots(Store& store, uint32_t collection_id, uint64_t slot_end) {
  SlotSet deleted;
  RETURN_IF_ERROR(ForEachDeletion(store, collection_id, slot_end, [&](std::span<const Slot> slots) {
    for (const Slot slot : slots) deleted.Insert(slot);
  }));
  return deleted;
}

}  // namespace tessera
