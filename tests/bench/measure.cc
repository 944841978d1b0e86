#include "tests/bench/measure.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tessera::bench {
namespace {

constexpr size_t kK = 10;

double Recall(const Dataset& data, const std::vector<uint32_t>& found) {
  size_t hits = 0;
  for (size_t q = 0; q < data.queries.rows(); ++q) {
    const auto begin = found.begin() + static_cast<std::ptrdiff_t>(q * kK);
    for (size_t i = 0; i < kK; ++i) {
      hits += std::find(begin, begin + kK, data.truth[q][i]) != begin + kK ? 1 : 0;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(data.queries.rows() * kK);
}

// One round of every setting of a contender. Points keep their best.
void MeasureOnce(const Dataset& data, Contender& contender, std::vector<Point>* points) {
  const MatrixView queries = data.queries;
  const std::vector<std::string> settings = contender.settings();
  points->resize(settings.size());
  std::vector<uint32_t> found(queries.rows * kK);
  for (size_t s = 0; s < settings.size(); ++s) {
    Point& point = (*points)[s];
    point.contender = contender.name();
    point.setting = settings[s];
    for (size_t b = 0; b < kBatchSizes.size(); ++b) {
      const double start = ThreadSeconds();
      for (size_t q = 0; q < queries.rows; q += kBatchSizes[b]) {
        const size_t n = std::min(kBatchSizes[b], queries.rows - q);
        contender.Search(s, queries.Rows(q, n), &found[q * kK]);
      }
      const double seconds = ThreadSeconds() - start;
      point.qps[b] = std::max(point.qps[b], static_cast<double>(queries.rows) / seconds);
      // Batches answer as single queries do, but for rounding: the last counts.
      point.recall = Recall(data, found);
    }
  }
}

}  // namespace

double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

std::vector<std::vector<Point>> Measure(const Dataset& data,
                                        const std::vector<std::unique_ptr<Contender>>& contenders,
                                        size_t rounds) {
  std::vector<std::vector<Point>> points(contenders.size());
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t c = 0; c < contenders.size(); ++c) MeasureOnce(data, *contenders[c], &points[c]);
  }
  return points;
}

double QpsAtRecall(const std::vector<Point>& points, double recall, size_t batch) {
  std::vector<std::pair<double, double>> best;  // recall, qps
  for (const Point& p : points) {
    const bool beaten = std::any_of(points.begin(), points.end(), [&](const Point& other) {
      return other.recall > p.recall && other.qps[batch] > p.qps[batch];
    });
    if (!beaten) best.emplace_back(p.recall, p.qps[batch]);
  }
  std::sort(best.begin(), best.end());
  for (size_t i = 0; i < best.size(); ++i) {
    if (best[i].first < recall) continue;
    if (i == 0) return best[0].second;
    const double t = (recall - best[i - 1].first) / (best[i].first - best[i - 1].first);
    return std::exp((1 - t) * std::log(best[i - 1].second) + t * std::log(best[i].second));
  }
  return 0;
}

void PrintPoints(const std::vector<Point>& points) {
  std::printf(
      "\n| contender | setting | recall@10 | QPS, 1 at a time | batches of 100 | of 1,000 |\n");
  std::printf("|---|---|---|---|---|---|\n");
  for (const Point& p : points) {
    std::printf("| %s | %s | %.4f | %.0f | %.0f | %.0f |\n", p.contender.c_str(), p.setting.c_str(),
                p.recall, p.qps[0], p.qps[1], p.qps[2]);
  }
  std::fflush(stdout);
}

void PrintAtEqualRecall(const std::vector<std::vector<Point>>& contenders) {
  std::printf("\nQPS at equal recall@10 (one at a time / batches of 100 / of 1,000)\n");
  std::printf("| contender | 0.90 | 0.95 | 0.98 | 0.99 |\n|---|---|---|---|---|\n");
  for (const auto& points : contenders) {
    if (points.empty()) continue;
    std::printf("| %s |", points[0].contender.c_str());
    for (double recall : {0.90, 0.95, 0.98, 0.99}) {
      std::printf(" %.0f / %.0f / %.0f |", QpsAtRecall(points, recall, 0),
                  QpsAtRecall(points, recall, 1), QpsAtRecall(points, recall, 2));
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

}  // namespace tessera::bench
