#ifndef TESSERA_INDEX_TUNE_RECALL_METER_H_
#define TESSERA_INDEX_TUNE_RECALL_METER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/types.h"
#include "index/tune/recall_surface.h"

namespace tessera {

// What one query would find, however deep it were searched.
struct QueryOutcome {
  // The true neighbours, nearest first: as many as there are, up to the most that are measured.
  std::span<const Slot> neighbors;
  // What all lists hold, the best by its code first, up to the most candidates that are measured;
  // and of the nprobes of the grid the number of the first with which a search has the list of
  // each.
  std::span<const Slot> candidates;
  std::span<const uint32_t> first_nprobes;
};

// Adds up what queries find into a recall surface. One thread at a time.
class RecallMeter {
 public:
  // `points` in `nlist` lists are searched. Both at least 1.
  RecallMeter(uint64_t points, uint32_t nlist);

  // A query is to have as many candidates as the last rerank, if the lists hold as many.
  const RecallSurface::Grid& grid() const { return grid_; }

  // A query with one neighbour at least.
  void Add(const QueryOutcome& query);

  // After one query at least.
  RecallSurface Surface() const;

 private:
  // Of shares in 2^-32: whole numbers, so that their sum is the same in whatever order queries
  // come.
  struct Sums {
    uint64_t shares = 0;
    uint64_t squares = 0;
  };

  uint64_t points_;
  uint32_t queries_ = 0;
  RecallSurface::Grid grid_;
  std::vector<Sums> sums_;  // as the surface has its shares
};

}  // namespace tessera

#endif  // TESSERA_INDEX_TUNE_RECALL_METER_H_
