#ifndef TESSERA_TESTS_BENCH_MEASURE_H_
#define TESSERA_TESTS_BENCH_MEASURE_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/contender.h"
#include "tests/bench/dataset.h"
#include "tests/thread_time.h"

namespace tessera::bench {

// Queries handed to one call: one at a time, and two sizes of batch.
inline constexpr std::array<size_t, 3> kBatchSizes = {1, 100, 1000};

// One setting of a contender. The best round counts, since other work on the machine can only add
// time.
struct Point {
  std::string setting;
  double recall = 0;                             // recall@10
  std::array<double, kBatchSizes.size()> qps{};  // by thread CPU time
  // Of single queries, by the clock on the wall.
  double p50_us = 0;
  double p99_us = 0;
};

// All that is measured of one contender.
struct Series {
  std::string contender;
  double bytes_per_point = 0;
  double build_seconds = 0;  // 0: from the cache
  std::vector<Point> points;
};

// Measures every setting of every contender in `rounds` rounds, a round of one after a round of the
// other, so that an hour that is bad for one is bad for all.
std::vector<Series> Measure(const Dataset& data,
                            const std::vector<std::unique_ptr<Contender>>& contenders,
                            size_t rounds);

// The points that no other beats in both recall and speed, by recall.
std::vector<Point> Unbeaten(const std::vector<Point>& points, size_t batch);

// Queries per second at a given recall, by interpolation of the logarithm between the two
// neighbouring unbeaten points; 0 where no setting reaches the recall.
double QpsAtRecall(const std::vector<Point>& points, double recall, size_t batch);

// Every setting, and all contenders at equal recall.
void PrintPoints(const std::vector<Series>& all);
void PrintAtEqualRecall(const std::vector<Series>& all);
// A plot of recall against queries per second, one line per contender.
std::string PlotSvg(const std::vector<Series>& all, size_t batch, const std::string& title);

}  // namespace tessera::bench

#endif  // TESSERA_TESTS_BENCH_MEASURE_H_
