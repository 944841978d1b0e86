#ifndef TESSERA_SERVER_ENGINE_DELETIONS_H_
#define TESSERA_SERVER_ENGINE_DELETIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "server/storage/store.h"

// What a large deletion writes: not the removal of its points' records, but which slots they are
// in. The slots hold no point from the commit on; the records are removed afterwards, step by step,
// and each step takes away the part of the deletion that it has done. What remains is the work that
// remains.
namespace tessera {

// Adds a deletion to a batch, in parts of `step_points`. The slots ascend.
void PutDeletion(uint32_t collection_id, uint64_t sequence, std::span<const Slot> slots,
                 size_t step_points, StoreBatch& batch);

// The slots of one part, ascending; all are below `slot_end`. DATA_LOSS if they are not, or are
// more than one step may have.
absl::Status DecodeDeletedSlots(std::string_view key, std::string_view value, uint64_t slot_end,
                                std::vector<Slot>* slots);

// Calls visit(slots) for each part that remains of the collection's deletions, in the order in
// which they are removed. DATA_LOSS, too, if a slot is deleted twice.
absl::Status ForEachDeletion(Store& store, uint32_t collection_id, uint64_t slot_end,
                             const std::function<void(std::span<const Slot>)>& visit);

// All these slots.
absl::StatusOr<SlotSet> DeletedSlots(Store& store, uint32_t collection_id, uint64_t slot_end);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_DELETIONS_H_
