#ifndef TESSERA_INDEX_IVF_NEAR_LISTS_H_
#define TESSERA_INDEX_IVF_NEAR_LISTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/types.h"

namespace tessera {

class ListsSnapshot;

// For those who look into lists on their own. Thread-safe: no state but thread-local scratch.

// About the `count` lists nearest to the query, in no order, and how far they are by what the
// coarse step knows without a look at the centroids.
void NearestLists(const ListsSnapshot& lists, std::span<const float> query, size_t count,
                  std::vector<Neighbor>* nearest);

// distances[i] = list which[i] and how far it is from the query, as the coarse step sees it.
void ListDistances(const ListsSnapshot& lists, std::span<const float> query,
                   std::span<const uint32_t> which, Neighbor* distances);

// Brings the `count` nearest of the lists to the front, in no order.
void NearestFirst(std::span<Neighbor> lists, size_t count);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_NEAR_LISTS_H_
