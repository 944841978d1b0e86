#ifndef TESSERA_SERVER_FSCK_INDEX_CHECK_H_
#define TESSERA_SERVER_FSCK_INDEX_CHECK_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "index/base/types.h"
#include "server/engine/index_contents.h"
#include "server/filter/field_column.h"
#include "server/storage/store.h"

namespace tessera {

// Compares what is stored of the payload indexes of a collection with the payloads of its points.
// Of each slot it keeps one sum over all indexes: what the indexes say is added, what the payload
// says is taken away, and nothing has to be left. Not thread-safe.
class IndexCheck {
 public:
  // Reads what is stored, for a collection that has this sequence number. DATA_LOSS if it is
  // damaged or does not fit together.
  absl::Status Read(Store& store, uint32_t collection_id, uint64_t sequence);
  // Each point of the collection; `payload` is the text of an object, or "".
  void AddPoint(Slot slot, std::string_view payload);
  // After all points: DATA_LOSS that names a slot of which something else is stored.
  absl::Status Compare() const;

 private:
  void AddColumn(size_t field, const FieldColumn& column, bool stored);

  std::vector<PayloadIndexSpec> specs_;  // that are stored
  StoredIndexes stored_;                 // without the fields
  absl::flat_hash_map<Slot, uint64_t> sums_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FSCK_INDEX_CHECK_H_
