#ifndef TESSERA_SERVER_FILTER_INDEX_CHANGES_H_
#define TESSERA_SERVER_FILTER_INDEX_CHANGES_H_

#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/filter/payload_indexes.h"

namespace tessera {

// What the indexes of a collection take of the payloads of one write: a column for each field, in
// the order of PayloadIndexes::fields, with rows for slots. Made before the write has its turn.
struct PayloadColumns {
  uint64_t generation = 0;  // of the indexes that it was made for
  std::vector<FieldColumn> columns;
};
// `payloads` are texts of objects, or "". None at all stand for `rows` empty ones.
PayloadColumns ExtractColumns(const PayloadIndexes& indexes, std::span<const std::string> payloads,
                              size_t rows);

// What a group of writes does to the indexes. Not thread-safe.
class IndexChanges {
 public:
  explicit IndexChanges(const PayloadIndexes& indexes);

  // A point that was there before the group, and is not any more.
  void Remove(Slot slot, std::string_view payload);
  // The points of one write; `columns` is of the same generation.
  void Add(PayloadColumns columns, std::span<const Slot> slots);
  // A point that came and went within the group.
  void Forget(Slot slot) { forgotten_.add(slot); }

  std::shared_ptr<const PayloadIndexes> ApplyTo(const PayloadIndexes& indexes);

 private:
  std::vector<PayloadIndexSpec> specs_;
  std::vector<FieldColumn> removed_;
  std::vector<FieldColumn> added_;
  Roaring forgotten_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_INDEX_CHANGES_H_
