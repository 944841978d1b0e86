#ifndef TESSERA_INDEX_CODEBOOK_PROBE_RULE_H_
#define TESSERA_INDEX_CODEBOOK_PROBE_RULE_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace tessera {

// How many lists each query's search goes through, where searches go through `nprobe` on average.
//
// The neighbours of a query that lies among centroids that are all about as far away are spread
// over more lists than those of one that few centroids are near to. So the i-th nearest list,
// counted from 1, at the squared distance d_i, is probed as long as i (d_i / d)^power is within a
// budget that all queries share, d being the mean of the four least (MeanOfNearest). README.md in
// this folder, "Lists of each query", has the measurements. Immutable and thread-safe.
class ProbeRule {
 public:
  ProbeRule() = default;  // all queries probe nprobe lists
  // The natural logarithms of the budgets for nprobe 1, 2, 4, ..., ascending: Levels(nlist) of
  // them. `power` is over 0.
  ProbeRule(float power, std::vector<float> log_budgets);

  // How many budgets there are: for nprobe up to a quarter of nlist, and to half of kListsMost.
  // None of few lists.
  static size_t Levels(size_t nlist);
  // The nearest lists of a query that tell how many it probes, at most.
  static constexpr size_t kListsMost = size_t{1} << 15;

  // The most lists that a query probes, and the fewest.
  static size_t Most(size_t nprobe, size_t nlist) { return std::min(2 * nprobe, nlist); }
  static size_t Fewest(size_t nprobe) { return (nprobe + 3) / 4; }

  // How many lists find about as much if all queries probe as many. For those with a filter: what
  // it leaves of the neighbours is farther away than the rule has it.
  size_t ForAll(size_t nprobe, size_t nlist) const {
    return empty() ? nprobe : std::min(nprobe + nprobe / 4, nlist);
  }

  bool empty() const { return log_budgets_.empty(); }
  float power() const { return power_; }
  std::span<const float> log_budgets() const { return log_budgets_; }

  // What one nprobe means for all queries. Not of an empty rule.
  struct Reach {
    size_t nprobe = 0, most = 0;
    // In mean distances of the nearest lists: up to the first, `most` lists are within the budget;
    // beyond the second not even one is.
    double near = 0, far = 0;
  };
  Reach ReachOf(size_t nprobe, size_t nlist) const;

  // The lists to probe: how many, and a distance up to which as many are; none where it is told by
  // the number alone.
  struct Lists {
    size_t count = 0;
    std::optional<float> bound;
  };
  // `distances` are those of n > 0 lists, among them the nearest that may be probed, in any order;
  // distances[i] + shift is a list's squared distance, times anything.
  static Lists ToProbe(const Reach& reach, const float* distances, size_t n, double shift);

  // The same number for a query of which log_ratios[i] = log(d_i / d), ascending, of all lists or
  // the kListsMost nearest.
  size_t Count(std::span<const float> log_ratios, size_t nprobe, size_t nlist) const;

  friend bool operator==(const ProbeRule&, const ProbeRule&) = default;

 private:
  double LogBudget(size_t nprobe) const;

  float power_ = 0;
  std::vector<float> log_budgets_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CODEBOOK_PROBE_RULE_H_
