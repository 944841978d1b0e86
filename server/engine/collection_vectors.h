#ifndef TESSERA_SERVER_ENGINE_COLLECTION_VECTORS_H_
#define TESSERA_SERVER_ENGINE_COLLECTION_VECTORS_H_

#include <algorithm>
#include <cstddef>
#include <span>

#include "server/engine/collection_reader.h"

namespace tessera {

// The vectors of a collection as the reranking step reads them.
class CollectionVectors final : public VectorSource {
 public:
  // If they may not wait for the disk, reads fail with MustWaitError() where they would.
  CollectionVectors(const CollectionReader& collection, bool may_wait)
      : collection_(collection), may_wait_(may_wait) {}

  ElementType element_type() const override { return collection_.spec_.element_type; }

  void Locate(std::span<const Slot> slots, const std::byte** rows) const override {
    if (!collection_.vectors_in_memory()) {
      std::fill_n(rows, slots.size(), nullptr);
      return;
    }
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = collection_.table_.row(slots[i]);
  }

  bool has_scalar_codes() const override { return collection_.has_scalar_codes(); }
  void LocateScalar(std::span<const Slot> slots, const std::byte** rows) const override {
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = collection_.table_.LateRow(slots[i]);
  }

  absl::Status Read(std::span<const Slot> slots, std::byte* out, bool* found) const override {
    return may_wait_ ? collection_.ReadRows(slots, out, found)
                     : collection_.ReadCachedRows(slots, out, found);
  }

 private:
  const CollectionReader& collection_;
  const bool may_wait_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_COLLECTION_VECTORS_H_
