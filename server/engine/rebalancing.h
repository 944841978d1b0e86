#ifndef TESSERA_SERVER_ENGINE_REBALANCING_H_
#define TESSERA_SERVER_ENGINE_REBALANCING_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "index/base/types.h"
#include "index/ivf/codebook.h"
#include "index/ivf/lists_snapshot.h"

namespace tessera {

// How far the splitting of long lists has come. Only in memory: each step leaves the store and the
// lists whole, and what a restart finds too long is planned anew.
//
// Three stages, so that a step moves a bounded number of entries, and the centroid of a list never
// changes under its entries:
//   1. the lists that are to take parts (the moved) give their entries to others, if they have
//      more than one step can move;
//   2. their centroids move into the long lists, and what entries they still have goes, in one
//      commit, where it is nearest then;
//   3. each long list, and the lists around the parts, give the entries that are nearer to another
//      centroid now.
struct Rebalancing {
  struct LongList {
    uint32_t list = 0;
    uint32_t size = 0;  // when the plan was made
  };
  struct Slots {
    uint32_t list = 0;
    std::vector<Slot> slots;  // of it; some may have died or left since
  };

  bool active() const { return codebook != nullptr; }
  // Forgets all but what is settled.
  void Clear() { *this = {.settled = std::move(settled), .settled_version = settled_version}; }

  // Null: nothing is under way.
  std::shared_ptr<const Codebook> codebook;    // in use when the last step ended
  std::shared_ptr<const Codebook> target;      // with the moved centroids: entries are encoded so
  std::shared_ptr<const SearchTables> tables;  // of the target
  std::vector<uint32_t> moved;                 // ascending; empty once they have moved
  std::vector<LongList> long_lists;
  std::deque<Slots> to_look_at;
  int drains = 0;  // how often the moved lists had too many entries for one step

  // Lists that could not be made shorter, and the size that they had: tried again at twice that.
  absl::flat_hash_map<uint32_t, uint32_t> settled;
  uint32_t settled_version = 0;  // of the codebook
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_REBALANCING_H_
