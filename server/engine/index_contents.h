#ifndef TESSERA_SERVER_ENGINE_INDEX_CONTENTS_H_
#define TESSERA_SERVER_ENGINE_INDEX_CONTENTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/types.h"
#include "server/engine/records.h"
#include "server/filter/field_index.h"
#include "server/storage/store.h"

// What the payload indexes of a collection hold, in the store: as they were at one sequence number,
// and which slots every group of writes has touched since. All of it can be made anew from
// payloads, so that what does not fit together is left alone, and never answered with.
namespace tessera {

struct StoredIndexes {
  std::optional<IndexContentsRecord> record;  // none: nothing is stored, or nothing of use
  std::string problem;                        // why what is stored is of no use
  uint32_t last_number = 0;                   // that contents were given
  Roaring changed;                            // slots that were touched since
  uint64_t changes = 0;                       // how many of them, one by one, and their records
  // The indexes asked for that are stored, without the slots that were touched.
  std::map<std::string, std::shared_ptr<const FieldIndex>> fields;
};

// Reads the contents of `specs`, for a collection that has this sequence number. Not OK if the
// store cannot be read.
absl::StatusOr<StoredIndexes> ReadStoredIndexes(Store& store, uint32_t collection_id,
                                                uint64_t sequence,
                                                std::span<const PayloadIndexSpec> specs);

// Puts the parts of contents on disk: record.number is new, and record.fields is filled. They count
// once PutIndexContents is committed. CANCELLED once go_on() is false.
absl::Status WriteIndexParts(Store& store, uint32_t collection_id,
                             std::span<const std::shared_ptr<const FieldIndex>> indexes,
                             const std::function<bool()>& go_on, IndexContentsRecord* record);

// Makes contents whose parts are written the ones that count, and deletes what came before them.
void PutIndexContents(uint32_t collection_id, const IndexContentsRecord& record, StoreBatch& batch);

// A group of writes, which touches these slots and takes the sequence number from `before` to
// `after`. In the batch that writes it.
void PutIndexChanges(uint32_t collection_id, uint64_t before, uint64_t after,
                     std::vector<Slot> slots, StoreBatch& batch);

// Deletes all of it.
void DeleteIndexContents(uint32_t collection_id, StoreBatch& batch);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_INDEX_CONTENTS_H_
