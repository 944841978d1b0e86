#ifndef TESSERA_TESTS_BENCH_MEASURE_H_
#define TESSERA_TESTS_BENCH_MEASURE_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/contender.h"
#include "tests/bench/dataset.h"

namespace tessera::bench {

// Queries handed to one call: one at a time, and two sizes of batch.
inline constexpr std::array<size_t, 3> kBatchSizes = {1, 100, 1000};

// One setting of one contender.
struct Point {
  std::string contender;
  std::string setting;
  double recall = 0;                             // recall@10
  std::array<double, kBatchSizes.size()> qps{};  // by thread CPU time, best round
};

// Seconds of CPU time that the calling thread has used.
double ThreadSeconds();

// Measures every setting of every contender in `rounds` rounds, a round of one after a round of the
// other, so that an hour that is bad for one is bad for all. The best round of each setting counts,
// since other work on the machine can only add time. The settings of contenders[i] are in element
// i.
std::vector<std::vector<Point>> Measure(const Dataset& data,
                                        const std::vector<std::unique_ptr<Contender>>& contenders,
                                        size_t rounds);

// Queries per second at a given recall, by interpolation of the logarithm between the two
// neighbouring points of the best settings; 0 where no setting reaches the recall.
double QpsAtRecall(const std::vector<Point>& points, double recall, size_t batch);

void PrintPoints(const std::vector<Point>& points);
void PrintAtEqualRecall(const std::vector<std::vector<Point>>& contenders);
// A plot of recall against queries per second, one line per contender.
std::string PlotSvg(const std::vector<std::vector<Point>>& contenders, size_t batch,
                    const std::string& title);

}  // namespace tessera::bench

#endif  // TESSERA_TESTS_BENCH_MEASURE_H_
