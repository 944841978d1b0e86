#ifndef TESSERA_SERVER_ENGINE_NEAR_SLOTS_H_
#define TESSERA_SERVER_ENGINE_NEAR_SLOTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "index/ivf/lists_snapshot.h"
#include "index/ivf/near_lists.h"
#include "index/ivf/searcher.h"

namespace tessera {

// So many slots are wanted where none of the lists is to be left out.
inline constexpr size_t kAllLists = std::numeric_limits<size_t>::max();

// Collects the slots that match and lie in the lists near a query, as MaskedSearchWidth says how
// far. A Source knows the matching slots of lists:
//
//   // Gets the slots of `lists` ready; false if it cannot.
//   bool Prepare(std::span<const Neighbor> lists);
//   // The lists that may hold some, once those that have been prepared hold too few, all of them
//   // ready; null if it cannot.
//   const std::vector<uint32_t>* PrepareAll();
//   // Appends the slots of `lists`, but of no more lists than needed once there are about `wanted`
//   // slots. Returns of how many it did.
//   size_t Take(std::span<const Neighbor> lists, size_t wanted, std::vector<Slot>* slots);
//
// Not thread-safe.
template <class Source>
class NearSlots {
 public:
  NearSlots(const ListsSnapshot& lists, const IvfSearchParams& params, Source* source,
            std::vector<Slot>* slots)
      : lists_(lists), width_(MaskedSearchWidth(params, lists)), source_(*source), slots_(*slots) {}

  // How many lists it took; nothing if the source cannot go on.
  std::optional<size_t> Collect(std::span<const float> query) {
    static thread_local std::vector<Neighbor> near;
    const size_t nlist = lists_.nlist();
    NearestLists(lists_, query, std::min(nlist, width_.WithMissed(width_.lists)), &near);
    if (!source_.Prepare(near)) return std::nullopt;
    const std::span<Neighbor> all(near);
    const size_t nprobe = std::min(width_.nprobe, all.size());
    TakeNearest(all, nprobe);
    size_t seen = 0;
    for (const Neighbor& list : all.first(nprobe)) seen += lists_.list(list.slot).size;
    const size_t end =
        std::clamp(width_.WithMissed(width_.ListsAfter(slots_.size(), seen)), nprobe, all.size());
    TakeNearest(all.subspan(nprobe), end - nprobe);
    const size_t wanted = width_.Wanted(slots_.size());
    if (slots_.size() >= wanted) return end;
    done_.assign(nlist, 0);
    for (const Neighbor& list : all.first(end)) done_[list.slot] = 1;
    taken_ = end;
    return CollectFurther(query, wanted, &near);
  }

 private:
  void TakeNearest(std::span<Neighbor> lists, size_t count) {
    NearestFirst(lists, count);
    source_.Take(lists.first(count), kAllLists, &slots_);
  }

  // Some more lists, and then all others, nearest first, as far as it takes.
  std::optional<size_t> CollectFurther(std::span<const float> query, size_t wanted,
                                       std::vector<Neighbor>* near) {
    if (width_.lists < lists_.nlist()) {
      NearestLists(lists_, query, width_.kFurtherLists * width_.lists, near);
      std::erase_if(*near, [this](const Neighbor& list) { return done_[list.slot] != 0; });
      if (!source_.Prepare(*near)) return std::nullopt;
      TakeUntil(*near, wanted);
      if (slots_.size() >= wanted) return taken_;
    }
    const std::vector<uint32_t>* const some = source_.PrepareAll();
    if (some == nullptr) return std::nullopt;
    std::vector<uint32_t> left;
    std::copy_if(some->begin(), some->end(), std::back_inserter(left),
                 [this](uint32_t list) { return done_[list] == 0; });
    near->resize(left.size());
    ListDistances(lists_, query, left, near->data());
    TakeUntil(*near, wanted);
    return taken_;
  }

  // In order, since it may stop anywhere.
  void TakeUntil(std::span<Neighbor> lists, size_t wanted) {
    while (!lists.empty() && slots_.size() < wanted) {
      const size_t some = std::min(lists.size(), width_.lists);
      NearestFirst(lists, some);
      std::sort(lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(some));
      const size_t count = source_.Take(lists.first(some), wanted, &slots_);
      for (const Neighbor& list : lists.first(count)) done_[list.slot] = 1;
      taken_ += count;
      lists = lists.subspan(count);
    }
  }

  const ListsSnapshot& lists_;
  const SearchWidth width_;
  Source& source_;
  std::vector<Slot>& slots_;
  size_t taken_ = 0;
  std::vector<uint8_t> done_;  // of each list, whether it has been taken; if more are to be
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_NEAR_SLOTS_H_
