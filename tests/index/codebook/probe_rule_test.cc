#include "index/codebook/probe_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "index/codebook/probe_trial.h"
#include "index/simd/lut_scan_select.h"

namespace tessera {
namespace {

constexpr size_t kLists = 1'000;

// Squared distances of a query's lists: in `dimensions`, so many of them are within a distance.
std::vector<float> Distances(double dimensions, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  std::vector<float> distances;
  for (size_t i = 0; i < kLists; ++i) {
    distances.push_back(static_cast<float>(
        50 * std::pow((static_cast<double>(i) + uniform(random)) / 10, 2 / dimensions)));
  }
  std::sort(distances.begin(), distances.end());
  return distances;
}

std::vector<float> LogRatios(const std::vector<float>& distances) {
  const double mean = MeanOfNearest(distances.data(), distances.size());
  std::vector<float> ratios;
  for (float distance : distances) ratios.push_back(static_cast<float>(std::log(distance / mean)));
  return ratios;
}

ProbeRule SomeRule(float power) {
  std::vector<float> budgets;
  for (size_t level = 0; level < ProbeRule::Levels(kLists); ++level) {
    budgets.push_back(1 + 1.5f * static_cast<float>(level));
  }
  return {power, budgets};
}

// As probe_rule.h says it.
size_t ByDefinition(const std::vector<float>& distances, float power, size_t nprobe) {
  const double log_budget = 1 + 1.5 * std::log2(static_cast<double>(nprobe));
  const double mean =
      (double{distances[0]} + distances[1] + distances[2] + distances[3]) / kNearestOfMean;
  size_t count = 0;
  while (count < kLists &&
         std::log(static_cast<double>(count + 1)) + power * std::log(distances[count] / mean) <=
             log_budget) {
    ++count;
  }
  return std::clamp(count, (nprobe + 3) / 4, std::min(2 * nprobe, kLists));
}

TEST(ProbeRule, HasBudgetsUpToAQuarterOfTheLists) {
  EXPECT_EQ(ProbeRule::Levels(1), 0u);
  EXPECT_EQ(ProbeRule::Levels(63), 0u);
  EXPECT_EQ(ProbeRule::Levels(64), 5u);  // 1, 2, 4, 8, 16
  EXPECT_EQ(ProbeRule::Levels(127), 5u);
  EXPECT_EQ(ProbeRule::Levels(128), 6u);
  EXPECT_EQ(ProbeRule::Levels(65'536), 15u);
  EXPECT_EQ(ProbeRule::Levels(1'000'000), 15u) << "up to 16,384";
}

TEST(ProbeRule, CountsWhatIsWithinTheBudget) {
  for (const float power : {4.0f, 8.0f}) {
    const ProbeRule rule = SomeRule(power);
    std::vector<size_t> counts;
    for (const double dimensions : {2.0, 5.0, 12.0, 40.0}) {
      const std::vector<float> distances = Distances(dimensions, 1);
      for (const size_t nprobe : {1, 3, 8, 50, 200, 600, 999}) {
        const size_t expected = ByDefinition(distances, power, nprobe);
        EXPECT_EQ(rule.Count(LogRatios(distances), nprobe, kLists), expected);
        counts.push_back(expected);
        // The same by distances in any order, of which all lack something.
        const double shift = 123;
        std::vector<float> unsorted = distances;
        std::shuffle(unsorted.begin(), unsorted.end(), std::mt19937(2));
        for (float& distance : unsorted) distance -= static_cast<float>(shift);
        const ProbeRule::Lists lists =
            ProbeRule::ToProbe(rule.ReachOf(nprobe, kLists), unsorted.data(), kLists, shift);
        EXPECT_NEAR(static_cast<double>(lists.count), static_cast<double>(expected),
                    std::max(1.0, 0.03 * static_cast<double>(expected)))
            << dimensions << " " << nprobe;
        if (lists.bound) EXPECT_EQ(CountNear(unsorted.data(), kLists, *lists.bound), lists.count);
      }
    }
    std::sort(counts.begin(), counts.end());
    EXPECT_GT(std::unique(counts.begin(), counts.end()) - counts.begin(), 15);
  }
}

TEST(ProbeRule, SearchesOfVeryManyListsProbeTwiceAsManyAtMost) {
  const ProbeRule rule(8, std::vector<float>(15, 1'000.0f));
  const std::vector<float> ratios(ProbeRule::kListsMost, 0.0f);
  EXPECT_EQ(rule.Count(ratios, 20'000, 1'000'000), 40'000u);
  EXPECT_EQ(rule.Count(ratios, 600'000, 1'000'000), 1'000'000u);
}

TEST(ProbeRule, TakesMoreListsWhereAllProbeAsMany) {
  EXPECT_EQ(ProbeRule().ForAll(40, kLists), 40u);
  EXPECT_EQ(SomeRule(8).ForAll(40, kLists), 50u);
  EXPECT_EQ(SomeRule(8).ForAll(900, kLists), kLists);
}

TEST(ProbeRule, MoreListsAreNeverFewer) {
  const ProbeRule rule = SomeRule(8);
  const std::vector<float> ratios = LogRatios(Distances(12, 1));
  size_t last = 0;
  for (size_t nprobe = 1; nprobe < kLists; ++nprobe) {
    const size_t count = rule.Count(ratios, nprobe, kLists);
    EXPECT_GE(count, last) << nprobe;
    EXPECT_GE(count, (nprobe + 3) / 4);
    EXPECT_LE(count, std::min(2 * nprobe, kLists));
    last = count;
  }
}

TEST(ProbeRule, DistancesThatAreNoneGiveTheMean) {
  const ProbeRule::Reach reach = SomeRule(8).ReachOf(20, kLists);
  std::vector<float> distances(kLists, 0.0f);
  EXPECT_EQ(ProbeRule::ToProbe(reach, distances.data(), kLists, 0).count, 20u);
  EXPECT_EQ(ProbeRule::ToProbe(reach, distances.data(), 5, 0).count, 5u) << "there are no more";
  EXPECT_EQ(ProbeRule::ToProbe(reach, distances.data(), kLists, -1).count, 20u);
  distances.assign(kLists, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(ProbeRule::ToProbe(reach, distances.data(), kLists, 0).count, 20u);
  distances.assign(kLists, std::numeric_limits<float>::infinity());
  EXPECT_LE(ProbeRule::ToProbe(reach, distances.data(), kLists, 0).count, 40u);
}

// Queries whose neighbours are in the nearer lists the more of the lists lie close to each other.
std::vector<ProbeTrial::Query> Queries(const std::vector<double>& dimensions) {
  std::vector<ProbeTrial::Query> queries;
  for (size_t q = 0; q < 100; ++q) {
    const double d = dimensions[q % dimensions.size()];
    std::mt19937 random(static_cast<uint32_t>(q));
    std::exponential_distribution<double> rank(1 / (4 * d));
    ProbeTrial::Query query = {LogRatios(Distances(d, static_cast<uint32_t>(q))), {}};
    for (int i = 0; i < 10; ++i) {
      query.ranks.push_back(static_cast<uint32_t>(std::min<double>(rank(random), kLists - 1)));
    }
    queries.push_back(query);
  }
  return queries;
}

TEST(ProbeTrial, FindsARuleWhereQueriesDiffer) {
  const ProbeTrial trial(kLists, Queries({2, 6, 20}));
  const ProbeRule rule = trial.Choose(0.975);
  ASSERT_FALSE(rule.empty());
  EXPECT_LT(trial.Lists(rule, 0.975), 0.8 * trial.Lists({}, 0.975));
  // As many as are asked for, on average.
  for (const size_t nprobe : {4, 16, 23, 64, 150, 250}) {
    size_t sum = 0;
    for (size_t q = 0; q < 100; ++q) sum += trial.Count(rule, q, nprobe);
    EXPECT_NEAR(static_cast<double>(sum) / 100, static_cast<double>(nprobe),
                0.06 * static_cast<double>(nprobe));
  }
  EXPECT_EQ(trial.Count(rule, 0, kLists), kLists);
}

TEST(ProbeTrial, FindsNoneWhereQueriesAreAlike) {
  EXPECT_TRUE(ProbeTrial(kLists, Queries({8})).Choose(0.975).empty());
  std::vector<ProbeTrial::Query> without = Queries({2, 6, 20});
  for (ProbeTrial::Query& query : without) query.log_ratios.clear();
  EXPECT_TRUE(ProbeTrial(kLists, without).Choose(0.975).empty()) << "distances are no measure";
  EXPECT_TRUE(ProbeTrial(3, {{{0, 1, 2}, {0, 2}}}).Choose(1).empty()) << "there are few lists";
}

TEST(ProbeTrial, ListsThatHoldAShare) {
  const ProbeTrial trial(10, {{{}, {0, 0, 3, 9}}, {{}, {1, 1, 1, 1}}});
  EXPECT_EQ(trial.Lists({}, 0.25), 1u);
  EXPECT_EQ(trial.Lists({}, 0.75), 2u);
  EXPECT_EQ(trial.Lists({}, 0.8), 4u);
  EXPECT_EQ(trial.Lists({}, 1), 10u);
}

}  // namespace
}  // namespace tessera
