#ifndef TESSERA_INDEX_IVF_LISTS_SNAPSHOT_H_
#define TESSERA_INDEX_IVF_LISTS_SNAPSHOT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "index/base/types.h"
#include "index/codebook/codebook.h"
#include "index/ivf/block_codes.h"
#include "index/ivf/coarse_quantizer.h"
#include "index/ivf/code_errors.h"
#include "index/simd/lut_scan.h"
#include "index/simd/lut_scan_tables.h"

namespace tessera {

// What searching with one codebook needs, made once. Immutable.
struct SearchTables {
  explicit SearchTables(std::shared_ptr<const Codebook> codebook);

  std::shared_ptr<const Codebook> codebook;
  LutScanShape shape;
  LutScanTables lut;
  CoarseQuantizer coarse;

  size_t memory_bytes() const { return lut.memory_bytes() + coarse.memory_bytes(); }
};

// One inverted list: blocks that lie one after the other, and perhaps a last, partly filled one
// elsewhere. Blocks that a snapshot shows are never written again. A cache line, fetched as one.
struct alignas(64) InvertedList {
  const uint8_t* blocks = nullptr;
  const uint8_t* tail = nullptr;
  uint32_t num_blocks = 0;  // at `blocks`
  uint32_t size = 0;        // vectors in all
  float error_max = 0;      // no vector is farther from its code
  float reach = 0;          // no vector is farther from the centroid, but for rounding

  // Keep the memory alive.
  std::shared_ptr<const BlockMemory> blocks_owner;
  std::shared_ptr<const BlockMemory> tail_owner;
};

// Lists are held in chunks, so that a new snapshot copies only the chunks that have changed.
struct ListChunk {
  static constexpr size_t kLists = 64;
  std::array<InvertedList, kLists> lists;
};

// The inverted lists at one moment. Immutable and thread-safe; keeps alive what it shows.
class ListsSnapshot {
 public:
  using Chunks = std::vector<std::shared_ptr<const ListChunk>>;

  ListsSnapshot(std::shared_ptr<const SearchTables> tables,
                std::shared_ptr<const CodeErrors> errors, Chunks chunks, size_t size)
      : tables_(std::move(tables)),
        errors_(std::move(errors)),
        chunks_(std::move(chunks)),
        size_(size) {}

  const SearchTables& tables() const { return *tables_; }
  const Codebook& codebook() const { return *tables_->codebook; }
  // Of the slots in the lists.
  const CodeErrors& errors() const { return *errors_; }
  size_t nlist() const { return tables_->codebook->nlist(); }
  // Vectors in all lists, deleted ones that are not compacted away yet included.
  size_t size() const { return size_; }
  const InvertedList& list(size_t i) const {
    return chunks_[i / ListChunk::kLists]->lists[i % ListChunk::kLists];
  }
  // The slots in a list, in its order; deleted ones that are not compacted away yet included.
  std::vector<Slot> Slots(size_t list) const;

 private:
  std::shared_ptr<const SearchTables> tables_;
  std::shared_ptr<const CodeErrors> errors_;
  Chunks chunks_;
  size_t size_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_LISTS_SNAPSHOT_H_
