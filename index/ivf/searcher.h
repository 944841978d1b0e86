#ifndef TESSERA_INDEX_IVF_SEARCHER_H_
#define TESSERA_INDEX_IVF_SEARCHER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/base/matrix.h"
#include "index/base/slot_mask.h"
#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/ivf/inverted_lists.h"

namespace tessera {

// Gives the full vectors of candidates. Thread-safe.
class VectorSource {
 public:
  virtual ~VectorSource() = default;

  virtual ElementType element_type() const = 0;

  // rows[i] = the vector of slots[i] where it lies in memory, or null where this source must read
  // it. Pointers stay valid as long as the snapshot that the slots came from.
  virtual void Locate(std::span<const Slot> slots, const std::byte** rows) const = 0;

  // Reads the vectors of `slots` one after the other into `out` (dim x element size bytes each);
  // found[i] is false for a slot whose point is gone meanwhile. Used where Locate gives null.
  virtual absl::Status Read(std::span<const Slot> slots, std::byte* out, bool* found) const = 0;
};

struct IvfSearchParams {
  size_t k = 10;
  size_t nprobe = 16;
  size_t rerank = 0;  // candidates whose full vectors are compared; 0: answers come from codes

  // If set, only these slots can be neighbours, and lists are scanned on, nearest first, until k of
  // them have been met or no list is left.
  const SlotMask* allowed = nullptr;
  size_t allowed_count = 0;  // slots in it
  // Scan as many more lists as make the recall among the allowed what nprobe makes it among all:
  // the neighbours of a part are farther away than those of the whole.
  bool widen = true;
};

// What one search did, summed over its queries.
struct IvfSearchStats {
  uint64_t lists_scanned = 0;
  uint64_t codes_scanned = 0;  // of a masked search, those in blocks with an allowed slot
  uint64_t candidates_reranked = 0;
  uint64_t queries_exhausted = 0;  // that met every allowed slot, or scanned every list
};

// Searches the lists for each query (rows of `queries`, as the user gave them: not normalised, not
// rotated). `results` has one vector per query, which gets at most k neighbours, nearest first, and
// those that are as far as the last of them.
// Slots in `deleted` are never returned. Many queries share passes over the lists.
// Thread-safe: runs in the calling thread, keeps no state but thread-local scratch.
absl::Status SearchIvf(const ListsSnapshot& lists, MatrixView queries,
                       const IvfSearchParams& params, const SlotSet& deleted,
                       const VectorSource* vectors, std::span<std::vector<Neighbor>> results,
                       IvfSearchStats* stats);

// How far a masked search goes; README.md, "Filtered search", says why.
struct SearchWidth {
  size_t lists = 0;  // scanned at least
  size_t met = 0;    // allowed vectors that are met at least
};
SearchWidth MaskedSearchWidth(const IvfSearchParams& params, size_t nlist, size_t size);

// The `count` lists nearest to each query, one query after the other, in no order.
void NearestLists(const ListsSnapshot& lists, MatrixView queries, size_t count,
                  std::vector<uint32_t>* nearest);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_SEARCHER_H_
