#ifndef TESSERA_INDEX_IVF_ROW_FETCHER_H_
#define TESSERA_INDEX_IVF_ROW_FETCHER_H_

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/base/buffer.h"
#include "index/base/types.h"
#include "index/ivf/searcher.h"

namespace tessera {

// Finds full vectors: first all those in memory, then the others by one read. Keeps its memory
// between calls; one thread at a time.
class RowFetcher {
 public:
  // Begins anew. Rows that were found before may move.
  void Clear();
  // Adds slots to be found.
  void Add(const VectorSource& vectors, std::span<const Slot> slots);
  // Reads the vectors, of `row_bytes` each, that Add has not found in memory.
  absl::Status ReadMissing(const VectorSource& vectors, size_t row_bytes);

  // Of each slot in the order in which they were added; null if its point is gone. They may be
  // reordered in place.
  std::span<const std::byte*> rows() { return {rows_.data(), count_}; }
  // Whether some may be null.
  bool was_missing() const { return !missing_.empty(); }

 private:
  std::vector<const std::byte*> rows_;  // the first count_ are meant
  size_t count_ = 0;
  std::vector<Slot> missing_;
  std::vector<size_t> missing_at_;
  std::unique_ptr<bool[]> found_;
  size_t found_size_ = 0;
  AlignedBuffer<std::byte> read_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_ROW_FETCHER_H_
