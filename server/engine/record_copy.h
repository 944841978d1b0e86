#ifndef TESSERA_SERVER_ENGINE_RECORD_COPY_H_
#define TESSERA_SERVER_ENGINE_RECORD_COPY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/storage/store.h"

namespace tessera {

// The record of one collection as another collection has it: decoded, and sealed again under the
// new key. `family` is not kMeta. DATA_LOSS if the record is damaged. *new_key and *new_value are
// replaced.
absl::Status MoveRecord(Family family, std::string_view key, std::string_view value,
                        uint32_t new_collection_id, std::string* new_key, std::string* new_value);

// Copies all records of a collection but its catalog record from one store into another under a new
// id, in batches of bounded size. Without a catalog record nothing of it counts: a start sweeps it
// away. The copy is on disk when a later commit with kSync is. `progress` is told the records
// copied so far; false ends the copy with CANCELLED.
struct CopiedCollection {
  Store& store;
  uint32_t id;
};
absl::Status CopyCollection(const CopiedCollection& from, const CopiedCollection& to,
                            const std::function<bool(uint64_t records)>& progress);

// Decodes all records that CopyCollection would copy: DATA_LOSS for the first that is damaged.
absl::Status CheckCollectionRecords(const CopiedCollection& collection,
                                    const std::function<bool(uint64_t records)>& progress);

// Deletes what CopyCollection wrote, for a copy that is not wanted any more.
absl::Status DropCollectionRecords(Store& store, uint32_t id);

// Adds the deletion of all records of a collection, the catalog record too, to a batch.
void DeleteCollectionRecords(uint32_t id, StoreBatch& batch);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RECORD_COPY_H_
