#include "index/tune/recall_surface.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "index/base/check.h"
#include "index/base/limits.h"

namespace tessera {

RecallSurface::RecallSurface(uint64_t points, uint32_t queries, Grid grid,
                             std::vector<Measured> shares)
    : points_(points), queries_(queries), grid_(std::move(grid)), shares_(std::move(shares)) {
  TESSERA_CHECK(points_ > 0 && queries_ > 0 && grid_.depths() > 0 &&
                shares_.size() == kNeighbors.size() * grid_.depths());
}

// The shares for one number of neighbours, at the nprobes of the grid.
class RecallSurface::OfNeighbors {
 public:
  // Whether as many neighbours were measured.
  static bool Has(uint64_t k) { return k <= kNeighbors.back(); }

  OfNeighbors(const RecallSurface& surface, uint64_t k) : surface_(surface) {
    const auto at = std::lower_bound(kNeighbors.begin(), kNeighbors.end(), k);
    const auto second = static_cast<size_t>(at - kNeighbors.begin());
    const size_t first = second > 0 && k < *at ? second - 1 : second;
    const auto n = static_cast<double>(std::max<uint64_t>(k, 1));
    first_ = {first, kNeighbors[first] / n};
    second_ = {second, kNeighbors[second] / n};
    if (first < second) {
      weight_ = std::log(1 / first_.scale) / std::log(second_.scale / first_.scale);
    }
  }

  // Where the shares of searches that compare about so many candidates are.
  struct Rerank {
    Place first, second;
  };
  Rerank Locate(double rerank) const {
    return {surface_.PlaceOf(rerank * first_.scale), surface_.PlaceOf(rerank * second_.scale)};
  }

  Measured At(size_t nprobe, const Rerank& rerank) const {
    const Measured first = At(first_, nprobe, rerank.first);
    if (weight_ == 0) return first;
    return Mix(first, At(second_, nprobe, rerank.second), weight_);
  }
  // What the share is, with some certainty, at least.
  double Certain(size_t nprobe, const Rerank& rerank) const {
    const Measured measured = At(nprobe, rerank);
    return double{measured.share} - measured.error;
  }

 private:
  struct MeasuredK {
    size_t number = 0;  // of kNeighbors
    double scale = 1;   // as many times the neighbours that are asked for
  };

  static Measured Mix(const Measured& a, const Measured& b, double weight) {
    const auto w = static_cast<float>(weight);
    return {a.share + w * (b.share - a.share), a.error + w * (b.error - a.error)};
  }
  Measured At(const MeasuredK& k, size_t nprobe, const Place& rerank) const {
    const Grid& grid = surface_.grid_;
    const Measured* shares =
        surface_.shares_.data() + k.number * grid.depths() + nprobe * grid.reranks.size();
    if (rerank.towards_next == 0) return shares[rerank.at];
    return Mix(shares[rerank.at], shares[rerank.at + 1], rerank.towards_next);
  }

  const RecallSurface& surface_;
  MeasuredK first_, second_;
  double weight_ = 0;
};

RecallSurface::Place RecallSurface::PlaceOf(double rerank) const {
  const std::vector<uint32_t>& reranks = grid_.reranks;
  const auto above = std::upper_bound(reranks.begin(), reranks.end(), rerank);
  if (above == reranks.begin()) return {0, 0};
  const auto at = static_cast<size_t>(above - reranks.begin()) - 1;
  if (above == reranks.end()) return {at, 0};
  return {at, (rerank - reranks[at]) / (*above - reranks[at])};
}

std::optional<SearchDepth> RecallSurface::Cheapest(uint64_t k, double target,
                                                   const DepthCost& cost) const {
  if (!OfNeighbors::Has(k)) return std::nullopt;
  const OfNeighbors shares(*this, k);
  // A search compares k candidates at least.
  const auto first = std::lower_bound(grid_.reranks.begin(), grid_.reranks.end(), k);
  const std::span<const uint32_t> reranks(first, grid_.reranks.end());
  // Each search that asks for a recall comes here: no memory is allocated.
  std::array<OfNeighbors::Rerank, limits::kCalibratedReranksMax> places;
  for (size_t r = 0; r < reranks.size(); ++r) places[r] = shares.Locate(reranks[r]);
  const auto end = places.begin() + static_cast<std::ptrdiff_t>(reranks.size());
  std::optional<SearchDepth> best;
  double best_ns = std::numeric_limits<double>::infinity();
  for (size_t p = 0; p < grid_.nprobes.size(); ++p) {
    // The share never falls as candidates become more.
    const auto enough = std::partition_point(places.begin(), end, [&](const auto& rerank) {
      return shares.Certain(p, rerank) < target;
    });
    if (enough == end) continue;
    double nprobe = grid_.nprobes[p];
    if (p > 0) {
      // Between this and the number before it, with which the share is less than wanted.
      const double share = shares.Certain(p, *enough), before = shares.Certain(p - 1, *enough);
      if (before < target) {
        nprobe -= (nprobe - grid_.nprobes[p - 1]) * (share - target) / (share - before);
      }
    }
    const SearchDepth depth = {static_cast<uint32_t>(std::ceil(nprobe)),
                               reranks[static_cast<size_t>(enough - places.begin())]};
    const double ns = cost.list_ns * depth.nprobe + cost.candidate_ns * depth.rerank;
    if (ns >= best_ns) continue;
    best_ns = ns;
    best = depth;
  }
  return best;
}

std::optional<double> RecallSurface::Share(uint64_t k, const SearchDepth& depth) const {
  if (!OfNeighbors::Has(k) || depth.nprobe < grid_.nprobes.front()) return std::nullopt;
  const OfNeighbors shares(*this, k);
  const OfNeighbors::Rerank rerank = shares.Locate(depth.rerank);
  const auto above = std::upper_bound(grid_.nprobes.begin(), grid_.nprobes.end(), depth.nprobe);
  const auto below = static_cast<size_t>(above - grid_.nprobes.begin()) - 1;
  const double here = shares.At(below, rerank).share;
  if (above == grid_.nprobes.end()) return here;
  const double towards =
      static_cast<double>(depth.nprobe - grid_.nprobes[below]) / (*above - grid_.nprobes[below]);
  return here + towards * (shares.At(below + 1, rerank).share - here);
}

size_t RecallSurface::memory_bytes() const {
  return sizeof(*this) + (grid_.nprobes.size() + grid_.reranks.size()) * sizeof(uint32_t) +
         shares_.size() * sizeof(Measured);
}

}  // namespace tessera
