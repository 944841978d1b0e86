#ifndef TESSERA_INDEX_IVF_SEARCHER_H_
#define TESSERA_INDEX_IVF_SEARCHER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/base/entry_filter.h"
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

  // Whether LocateScalar gives anything: full vectors are then compared only of candidates that
  // may be among the answers by their scalar codes.
  virtual bool has_scalar_codes() const { return false; }
  // rows[i] = the scalar code of slots[i] (index/quantize/scalar_code.h), or null where there is
  // none. Pointers as those of Locate.
  virtual void LocateScalar(std::span<const Slot> slots, const std::byte** rows) const {
    std::fill_n(rows, slots.size(), nullptr);
  }
};

struct IvfSearchParams {
  size_t k = 10;
  // Lists to scan for a query; on average, where the codebook has a ProbeRule.
  size_t nprobe = 16;
  // Candidates chosen by their codes, of which those that may be among the answers are compared
  // with their full vectors; 0: answers come from codes.
  size_t rerank = 0;

  // If set, only these slots can be neighbours, none of which may be deleted, and lists are scanned
  // on, nearest first, until k of them have been met or no list is left.
  const SlotMask* allowed = nullptr;
  const EntryFilter* filter = nullptr;  // instead of a mask: the same, told by codes
  size_t allowed_count = 0;             // slots that are allowed, or about how many
  size_t allowed_max = 0;               // if more than that, as many may be allowed
  // Scan as many more lists as make the recall among the allowed what nprobe makes it among all:
  // the neighbours of a part are farther away than those of the whole.
  bool widen = true;
  // Give up on a query that the filter goes against: it gets no results. For those who have a
  // better way to find what is allowed.
  bool stop_against = false;
  bool timed = false;  // fill in the times of the statistics
};

// What one search did, summed over its queries.
struct IvfSearchStats {
  uint64_t lists_scanned = 0;
  uint64_t codes_scanned = 0;        // of a masked search, those in blocks with an allowed slot
  uint64_t candidates_refined = 0;   // compared by scalar codes
  uint64_t candidates_reranked = 0;  // compared in full
  uint64_t table_ns = 0;             // to make lookup tables
  uint64_t rerank_ns = 0;            // to compare full vectors
  uint64_t queries_against = 0;      // that were given up on
  uint64_t queries_exhausted = 0;    // that met every allowed slot, or scanned every list

  // Of the queries of both.
  IvfSearchStats& operator+=(const IvfSearchStats& other);
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
  // What is expected in the lists near a query is met so many times if the filter goes against it:
  // then nearness to a list tells little about nearness to its vectors.
  static constexpr size_t kAgainst = 3;
  // Where the lists near a query hold too little, so many times as many are looked at before all.
  static constexpr size_t kFurtherLists = 4;

  size_t k = 0;
  size_t nprobe = 0;
  size_t allowed = 0;   // at most
  size_t lists = 0;     // to be scanned
  size_t expected = 0;  // allowed vectors in them, if they were spread evenly; 0 if it matters not

  // How many of the lists are to be scanned when of `seen` vectors in the `nprobe` nearest `met`
  // are allowed: fewer where the filter goes with the query.
  size_t ListsAfter(size_t met, size_t seen) const;
  // Whether the filter goes against the query, whose nearest lists hold so few of the allowed.
  bool Against(size_t in_lists) const { return in_lists < expected / 4; }
  // How many of the allowed are to be met in all, when the lists hold so many: k at least, half of
  // what was expected, or kAgainst times that.
  size_t Wanted(size_t in_lists) const {
    const size_t least = Against(in_lists) ? kAgainst * expected : expected / 2;
    return std::min(std::max(k, least), allowed);
  }
  // Lists that NearestLists gives: with an eighth more of them, as many of a query's neighbours are
  // in them as in those that are the nearest.
  static size_t WithMissed(size_t lists) { return lists + lists / 8; }
};
SearchWidth MaskedSearchWidth(const IvfSearchParams& params, const ListsSnapshot& lists);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_SEARCHER_H_
