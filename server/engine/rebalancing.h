#ifndef TESSERA_SERVER_ENGINE_REBALANCING_H_
#define TESSERA_SERVER_ENGINE_REBALANCING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "index/base/limits.h"
#include "index/base/types.h"
#include "index/codebook/codebook.h"
#include "index/ivf/list_balance.h"
#include "index/ivf/lists_snapshot.h"

namespace tessera {

// How many entries each list may have before it is looked at. Belongs to the queue's turn.
class ListLimits {
 public:
  // Takes the entries that are alive in each list; true if one has too many.
  bool Update(std::span<const uint32_t> sizes) {
    const uint64_t entries = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
    common_ = ListSizeMax(entries, sizes.size());
    // Other entries than those that could not be told apart may come now.
    absl::erase_if(settled_, [&](const auto& own) { return sizes[own.first] < own.second / 2; });
    for (uint32_t list = 0; list < sizes.size(); ++list) {
      if (IsOver(list, sizes[list])) return true;
    }
    return false;
  }
  bool IsOver(uint32_t list, size_t size) const {
    if (size <= common_) return false;
    const auto own = settled_.find(list);
    return own == settled_.end() || size >= 2 * uint64_t{own->second};
  }
  // A list of `size` entries could not be made shorter: it is left until it has doubled.
  void Settle(uint32_t list, uint32_t size) { settled_[list] = size; }

 private:
  size_t common_ = limits::kListSplitEntries;
  absl::flat_hash_map<uint32_t, uint32_t> settled_;
};

// After so many failures in a row, how long nothing is split.
inline absl::Duration SplitRetryDelay(int failures) {
  return std::min(absl::Seconds(1) * (1 << std::clamp(failures - 1, 0, 20)), absl::Minutes(5));
}

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
    uint32_t size = 0;   // when the plan was made
    uint32_t given = 0;  // entries that have left it: writes may have brought others meanwhile
    bool shortened() const { return given >= size / 10; }
  };
  struct Slots {
    uint32_t list = 0;
    std::vector<Slot> slots;  // of it; some may have died or left since
  };

  bool active() const { return codebook != nullptr; }
  // Forgets what was under way.
  void Clear() { *this = {.failures = failures, .not_before = not_before}; }

  // Null: nothing is under way.
  std::shared_ptr<const Codebook> codebook;    // in use when the last step ended
  std::shared_ptr<const Codebook> target;      // with the moved centroids: entries are encoded so
  std::shared_ptr<const SearchTables> tables;  // of the target
  std::vector<uint32_t> moved;                 // ascending; empty once they have moved
  std::vector<LongList> long_lists;
  std::deque<Slots> to_look_at;
  int drains = 0;  // how often the moved lists had too many entries for one step

  int failures = 0;  // since something was split
  absl::Time not_before = absl::InfinitePast();
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_REBALANCING_H_
