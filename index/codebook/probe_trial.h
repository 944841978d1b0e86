#ifndef TESSERA_INDEX_CODEBOOK_PROBE_TRIAL_H_
#define TESSERA_INDEX_CODEBOOK_PROBE_TRIAL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/codebook/probe_rule.h"

namespace tessera {

// Measures how many lists queries must probe, and finds the rule that needs the fewest.
class ProbeTrial {
 public:
  // Of the rules that are found.
  static constexpr float kLogBudgetMost = 1'000;

  // The lists as one query sees them.
  struct Query {
    // As ProbeRule::Count wants them. None if the query is where its nearest lists are, or
    // distances are no measure here: it then probes as many lists as are asked for.
    std::vector<float> log_ratios;
    std::vector<uint32_t> ranks;  // of the lists of its neighbours: how many lists are nearer
  };

  // At least one query, which must have a neighbour.
  ProbeTrial(size_t nlist, std::vector<Query> queries);

  // The rule with which the fewest lists hold `share` of all neighbours, 0 < share <= 1. Empty
  // where none is better than the same number of lists for all.
  ProbeRule Choose(double share) const;

  // The least number of lists, on average, that hold the share if they are probed by the rule.
  uint32_t Lists(const ProbeRule& rule, double share) const;

  // How many lists that query probes.
  size_t Count(const ProbeRule& rule, size_t query, size_t nprobe) const;

 private:
  ProbeRule RuleOf(float power) const;
  double MeanCount(const ProbeRule& rule, size_t nprobe) const;
  size_t Found(const ProbeRule& rule, size_t nprobe) const;

  size_t nlist_;
  std::vector<Query> queries_;
  size_t neighbors_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CODEBOOK_PROBE_TRIAL_H_
