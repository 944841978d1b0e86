// How far a masked search goes.
#include <algorithm>
#include <cmath>

#include "index/ivf/searcher.h"

namespace tessera {
namespace {

// Lists are multiplied by this power of one over the share that is allowed.
constexpr double kWidening = 0.25;

}  // namespace

SearchWidth MaskedSearchWidth(const IvfSearchParams& params, size_t nlist, size_t size) {
  const double share = std::clamp(
      static_cast<double>(params.allowed_count) / static_cast<double>(std::max<size_t>(size, 1)),
      1e-9, 1.0);
  const double factor = params.widen ? std::pow(1 / share, kWidening) : 1;
  const double lists = std::ceil(static_cast<double>(params.nprobe) * factor);
  SearchWidth width;
  width.lists = static_cast<size_t>(std::clamp(lists, 1.0, static_cast<double>(nlist)));
  const double expected = static_cast<double>(params.allowed_count) *
                          static_cast<double>(width.lists) / static_cast<double>(nlist);
  width.met = std::max(params.k, params.widen ? static_cast<size_t>(expected) : 0);
  return width;
}

}  // namespace tessera
