#include "index/codebook/probe_rule.h"

#include <cmath>
#include <utility>

#include "index/base/check.h"
#include "index/simd/lut_scan_select.h"

namespace tessera {
namespace {

// Of fewer lists all may be probed, for what it would save.
constexpr size_t kListsMin = 64;
// Halvings of the distances between which the last list to probe is: to a fiftieth of its number.
constexpr int kHalvings = 7;

}  // namespace

ProbeRule::ProbeRule(float power, std::vector<float> log_budgets)
    : power_(power), log_budgets_(std::move(log_budgets)) {
  TESSERA_CHECK(power_ > 0 && !log_budgets_.empty());
}

size_t ProbeRule::Levels(size_t nlist) {
  size_t levels = 0;
  if (nlist < kListsMin) return levels;
  while ((size_t{4} << levels) <= nlist && Most(size_t{1} << levels, nlist) <= kListsMost) ++levels;
  return levels;
}

double ProbeRule::LogBudget(size_t nprobe) const {
  const double level = std::log2(static_cast<double>(nprobe));
  if (log_budgets_.size() == 1) return log_budgets_[0];
  // Beyond the last one it grows on as it did before.
  const size_t below = std::min(static_cast<size_t>(level), log_budgets_.size() - 2);
  const double from = log_budgets_[below], to = log_budgets_[below + 1];
  return from + (level - static_cast<double>(below)) * (to - from);
}

ProbeRule::Reach ProbeRule::ReachOf(size_t nprobe, size_t nlist) const {
  const size_t most = Most(nprobe, nlist);
  const double budget = LogBudget(nprobe);
  return {nprobe, most, std::exp((budget - std::log(static_cast<double>(most))) / power_),
          std::exp(budget / power_)};
}

ProbeRule::Lists ProbeRule::ToProbe(const Reach& reach, const float* distances, size_t n,
                                    double shift) {
  const double mean = MeanOfNearest(distances, n) + shift;
  const size_t most = std::min(reach.most, n);
  // As far as floats can tell, the query is where centroids are.
  if (!(mean > 0)) return {std::min(reach.nprobe, most), std::nullopt};
  const auto bound = [shift](double distance) { return static_cast<float>(distance - shift); };
  double near = mean * reach.near, far = mean * reach.far;
  // From the one to the other the budget is enough for fewer and fewer lists: as a power of the
  // distance, so that its geometric mean is at that of the distances.
  double near_budget = static_cast<double>(reach.most), far_budget = 1;
  size_t count = CountNear(distances, n, bound(near));
  if (count >= most) return {most, std::nullopt};
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = std::sqrt(near * far), budget = std::sqrt(near_budget * far_budget);
    const size_t in_middle = CountNear(distances, n, bound(middle));
    if (static_cast<double>(in_middle) <= budget) {
      near = middle;
      near_budget = budget;
      count = in_middle;
    } else {
      far = middle;
      far_budget = budget;
    }
  }
  const size_t fewest = std::min(Fewest(reach.nprobe), most);
  if (count < fewest) return {fewest, std::nullopt};
  return {count, bound(near)};
}

size_t ProbeRule::Count(std::span<const float> log_ratios, size_t nprobe, size_t nlist) const {
  const double budget = LogBudget(nprobe);
  size_t within = 0, beyond = log_ratios.size();
  while (within < beyond) {
    const size_t middle = (within + beyond) / 2;
    if (std::log(static_cast<double>(middle + 1)) + double{power_} * log_ratios[middle] <= budget) {
      within = middle + 1;
    } else {
      beyond = middle;
    }
  }
  const size_t most = Most(nprobe, nlist);
  return within == log_ratios.size() ? most : std::clamp(within, Fewest(nprobe), most);
}

}  // namespace tessera
