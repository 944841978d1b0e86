#ifndef TESSERA_INDEX_IVF_LIST_BALANCE_H_
#define TESSERA_INDEX_IVF_LIST_BALANCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "index/base/matrix.h"

// Which inverted lists have grown so long that they should be split, and into what. The number of
// lists stays: a long list is split by giving the places of short ones, whose entries go to the
// lists that are then nearest to them, to parts of it. Pure functions, thread-safe.
namespace tessera {

// A list of which parts go to others.
struct ListSplit {
  uint32_t list = 0;
  std::vector<uint32_t> takers;  // whose centroids move into the list: at least two
};

// Up to so many entries, one of `nlist` lists that hold `entries` in all is not too long.
size_t ListSizeMax(uint64_t entries, size_t nlist);

// Chooses lists that are too long and may be split, the longest first, and for each the shortest
// lists that are not taken yet, none of which is longer than the mean. sizes[i]: entries of list i.
// Each split lets the sum of the squares of all sizes, to which the work of searches is
// proportional, fall: it comes to an end.
std::vector<ListSplit> ChooseSplits(std::span<const uint32_t> sizes,
                                    const std::function<bool(uint32_t list)>& may_split);

// The centroids of `parts` parts of a list, from a sample of its vectors (prepared, as centroids
// are). None if nearly all of the sample is alike: no centroid can tell such vectors apart.
std::optional<Matrix> SplitCentroids(MatrixView sample, size_t parts);

// The lists near the centroids of `moved`, which are ascending, without those: some of their
// entries may be nearer to a centroid that has moved there. Ascending.
std::vector<uint32_t> ListsNear(MatrixView centroids, std::span<const uint32_t> moved);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_LIST_BALANCE_H_
