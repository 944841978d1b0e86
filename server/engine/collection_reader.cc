#include "server/engine/collection_reader.h"

#include <utility>

#include "server/engine/collection_spec.h"

namespace tessera {
namespace {

// What of a collection never changes.
CollectionSpec FixedPart(const CollectionSpec& spec) {
  CollectionSpec fixed;
  fixed.name = spec.name;
  fixed.dimension = spec.dimension;
  fixed.metric = spec.metric;
  fixed.element_type = spec.element_type;
  return fixed;
}

}  // namespace

CollectionReader::CollectionReader(Store& store, Executor* search_executor,
                                   const CatalogRecord& record,
                                   std::function<void()> payload_copy_due)
    : store_(store),
      search_executor_(search_executor),
      id_(record.id),
      spec_(FixedPart(record.spec)),
      placement_(record.spec.index.vectors),
      table_(RowBytesInMemory(spec_, placement_)),
      payload_copy_due_(std::move(payload_copy_due)) {}

}  // namespace tessera
