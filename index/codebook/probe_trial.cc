#include "index/codebook/probe_trial.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "index/base/check.h"

namespace tessera {
namespace {

// What is tried: where data have no structure less is better, or nothing.
constexpr float kPowers[] = {8, 4};
// Of the lists that it takes without a rule, what is left where a rule is worth it.
constexpr double kFewerShare = 0.97;
// Budgets are found by halving what they may be, in logarithms.
constexpr int kHalvings = 40;

}  // namespace

ProbeTrial::ProbeTrial(size_t nlist, std::vector<Query> queries)
    : nlist_(nlist), queries_(std::move(queries)) {
  for (const Query& query : queries_) neighbors_ += query.ranks.size();
  TESSERA_CHECK(nlist_ > 0 && neighbors_ > 0);
}

size_t ProbeTrial::Count(const ProbeRule& rule, size_t query, size_t nprobe) const {
  const std::span<const float> log_ratios = queries_[query].log_ratios;
  if (rule.empty() || log_ratios.empty() || nprobe >= nlist_) return nprobe;
  return rule.Count(log_ratios, nprobe, nlist_);
}

double ProbeTrial::MeanCount(const ProbeRule& rule, size_t nprobe) const {
  size_t sum = 0;
  for (size_t q = 0; q < queries_.size(); ++q) sum += Count(rule, q, nprobe);
  return static_cast<double>(sum) / static_cast<double>(queries_.size());
}

size_t ProbeTrial::Found(const ProbeRule& rule, size_t nprobe) const {
  size_t found = 0;
  for (size_t q = 0; q < queries_.size(); ++q) {
    const size_t count = Count(rule, q, nprobe);
    for (uint32_t rank : queries_[q].ranks) found += rank < count ? 1 : 0;
  }
  return found;
}

uint32_t ProbeTrial::Lists(const ProbeRule& rule, double share) const {
  const auto wanted = static_cast<size_t>(std::ceil(share * static_cast<double>(neighbors_)));
  size_t too_few = 0, enough = nlist_;
  while (enough - too_few > 1) {
    const size_t middle = (too_few + enough) / 2;
    (Found(rule, middle) >= wanted ? enough : too_few) = middle;
  }
  return static_cast<uint32_t>(enough);
}

ProbeRule ProbeTrial::RuleOf(float power) const {
  std::vector<float> log_budgets;
  float least = 0;
  for (size_t level = 0; level < ProbeRule::Levels(nlist_); ++level) {
    const size_t nprobe = size_t{1} << level;
    float most = kLogBudgetMost;
    for (int i = 0; i < kHalvings; ++i) {
      const float middle = (least + most) / 2;
      const ProbeRule rule(power, std::vector<float>(level + 1, middle));
      (MeanCount(rule, nprobe) < static_cast<double>(nprobe) ? least : most) = middle;
    }
    log_budgets.push_back(most);
    least = most;
  }
  return {power, std::move(log_budgets)};
}

ProbeRule ProbeTrial::Choose(double share) const {
  ProbeRule best;
  if (ProbeRule::Levels(nlist_) == 0) return best;
  double fewest = kFewerShare * Lists(best, share);
  for (float power : kPowers) {
    ProbeRule rule = RuleOf(power);
    const double lists = Lists(rule, share);
    if (!(lists < fewest)) continue;
    fewest = lists;
    best = std::move(rule);
  }
  return best;
}

}  // namespace tessera
