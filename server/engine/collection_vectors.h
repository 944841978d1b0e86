#ifndef TESSERA_SERVER_ENGINE_COLLECTION_VECTORS_H_
#define TESSERA_SERVER_ENGINE_COLLECTION_VECTORS_H_

#include <cstddef>
#include <span>

#include "server/engine/collection.h"

namespace tessera {

// The vectors of a collection as the reranking step reads them.
class CollectionVectors final : public VectorSource {
 public:
  explicit CollectionVectors(const Collection& collection) : collection_(collection) {}

  ElementType element_type() const override { return collection_.spec_.element_type; }

  void Locate(std::span<const Slot> slots, const std::byte** rows) const override {
    for (size_t i = 0; i < slots.size(); ++i) rows[i] = collection_.table_.vector(slots[i]);
  }

  absl::Status Read(std::span<const Slot> slots, std::byte* out, bool* found) const override {
    return collection_.ReadRows(slots, out, found);
  }

 private:
  const Collection& collection_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_COLLECTION_VECTORS_H_
