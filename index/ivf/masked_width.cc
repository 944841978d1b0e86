// How far a masked search goes.
#include <algorithm>
#include <cmath>

#include "index/ivf/lists_snapshot.h"
#include "index/ivf/searcher.h"

namespace tessera {
namespace {

// Lists are multiplied by this power of one over the share that is allowed.
constexpr double kWidening = 1.0 / 3;

size_t Widened(size_t nprobe, double allowed, double all, size_t lists_max) {
  const double share = std::clamp(allowed / std::max(all, 1.0), 1e-9, 1.0);
  const double lists = std::ceil(static_cast<double>(nprobe) * std::pow(1 / share, kWidening));
  return static_cast<size_t>(std::clamp(lists, 1.0, static_cast<double>(lists_max)));
}

}  // namespace

size_t SearchWidth::ListsAfter(size_t met, size_t seen) const {
  return Widened(nprobe, static_cast<double>(met), static_cast<double>(seen), lists);
}

SearchWidth MaskedSearchWidth(const IvfSearchParams& params, const ListsSnapshot& lists) {
  const size_t nlist = lists.nlist();
  SearchWidth width;
  width.k = params.k;
  width.nprobe = lists.codebook().probe_rule().ForAll(std::min(params.nprobe, nlist), nlist);
  width.allowed = std::max(params.allowed_count, params.allowed_max);
  width.lists = width.nprobe;
  if (params.widen) {
    width.lists = Widened(width.nprobe, static_cast<double>(params.allowed_count),
                          static_cast<double>(lists.size()), nlist);
    width.expected =
        static_cast<size_t>(static_cast<double>(params.allowed_count) *
                            static_cast<double>(width.lists) / static_cast<double>(nlist));
  }
  return width;
}

}  // namespace tessera
