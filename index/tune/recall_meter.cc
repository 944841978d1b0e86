#include "index/tune/recall_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "index/base/check.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

// From one depth of the grid to the next.
constexpr double kNprobeStep = 1.25;
constexpr double kRerankStep = 1.4;

constexpr double kFixed = 4'294'967'296;

uint64_t ToFixed(double share) { return static_cast<uint64_t>(std::llround(share * kFixed)); }

// 1, ..., last: each `step` times as much as the one before it, but one more at least.
std::vector<uint32_t> Steps(uint32_t last, double step) {
  std::vector<uint32_t> steps;
  for (double value = 1; value < last; value = std::max(value + 1, std::floor(value * step))) {
    steps.push_back(static_cast<uint32_t>(value));
  }
  steps.push_back(last);
  return steps;
}

// The number of the first of the ascending `reranks` that is at least `rank`; or how many there
// are.
size_t FirstRerank(const std::vector<uint32_t>& reranks, uint32_t rank) {
  return static_cast<size_t>(std::lower_bound(reranks.begin(), reranks.end(), rank) -
                             reranks.begin());
}

// Where a neighbour is found: among the lists of so many and more nprobes, and there among the
// candidates of so many and more reranks, for each of these nprobes.
struct FoundAt {
  size_t first_nprobe = 0;
  std::vector<size_t> first_rerank;
};

}  // namespace

RecallMeter::RecallMeter(uint64_t points, uint32_t nlist) : points_(points) {
  TESSERA_CHECK(points > 0 && nlist > 0);
  const uint64_t candidates = std::min<uint64_t>(points, limits::kCalibratedRerankMax);
  grid_ = {Steps(nlist, kNprobeStep), Steps(static_cast<uint32_t>(candidates), kRerankStep)};
  TESSERA_CHECK(grid_.nprobes.size() <= limits::kCalibratedNprobesMax &&
                grid_.reranks.size() <= limits::kCalibratedReranksMax);
  sums_.resize(RecallSurface::kNeighbors.size() * grid_.depths());
}

void RecallMeter::Add(const QueryOutcome& query) {
  TESSERA_CHECK(!query.neighbors.empty() && query.candidates.size() == query.first_nprobes.size());
  const size_t nprobes = grid_.nprobes.size(), reranks = grid_.reranks.size();
  absl::flat_hash_map<Slot, size_t> number_of;
  for (size_t i = 0; i < query.neighbors.size(); ++i) number_of[query.neighbors[i]] = i;

  // Of the candidates so far: how many are in a list that a search has from this nprobe on.
  std::vector<uint32_t> met(nprobes);
  // hits[(p, r)] of the neighbours with the numbers below the next k, before they are added up.
  std::vector<uint32_t> hits(grid_.depths());
  std::vector<std::pair<size_t, FoundAt>> found;  // by the number of the neighbour
  for (size_t i = 0; i < query.candidates.size(); ++i) {
    const size_t first = query.first_nprobes[i];
    ++met[first];
    const auto neighbor = number_of.find(query.candidates[i]);
    if (neighbor == number_of.end()) continue;
    FoundAt at{first, {}};
    uint32_t before = 0;
    for (size_t p = 0; p < nprobes; ++p) {
      before += met[p];
      if (p >= first) at.first_rerank.push_back(FirstRerank(grid_.reranks, before));
    }
    found.emplace_back(neighbor->second, std::move(at));
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });

  auto next = found.begin();
  for (size_t k = 0; k < RecallSurface::kNeighbors.size(); ++k) {
    const size_t wanted = std::min<size_t>(RecallSurface::kNeighbors[k], query.neighbors.size());
    for (; next != found.end() && next->first < wanted; ++next) {
      const FoundAt& at = next->second;
      for (size_t i = 0; i < at.first_rerank.size(); ++i) {
        if (at.first_rerank[i] == reranks) continue;
        ++hits[(at.first_nprobe + i) * reranks + at.first_rerank[i]];
      }
    }
    for (size_t p = 0; p < nprobes; ++p) {
      uint32_t of_nprobe = 0;
      for (size_t r = 0; r < reranks; ++r) {
        of_nprobe += hits[p * reranks + r];
        const double share = static_cast<double>(of_nprobe) / static_cast<double>(wanted);
        Sums& sums = sums_[k * grid_.depths() + p * reranks + r];
        sums.shares += ToFixed(share);
        sums.squares += ToFixed(share * share);
      }
    }
  }
  ++queries_;
}

RecallSurface RecallMeter::Surface() const {
  const auto n = static_cast<double>(queries_);
  std::vector<RecallSurface::Measured> shares;
  shares.reserve(sums_.size());
  for (const Sums& sums : sums_) {
    const double mean = static_cast<double>(sums.shares) / kFixed / n;
    const double variance =
        std::max(0.0, static_cast<double>(sums.squares) / kFixed / n - mean * mean);
    shares.push_back(
        {static_cast<float>(std::min(mean, 1.0)), static_cast<float>(std::sqrt(variance / n))});
  }
  return {points_, queries_, grid_, std::move(shares)};
}

}  // namespace tessera
