#include "tests/bench/measure.h"

#include <algorithm>
#include <chrono>
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

double Quantile(std::vector<double>& values, double share) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// One pass over the queries in batches of the b-th size.
void MeasurePass(const Dataset& data, Contender& contender, size_t setting, size_t b,
                 Point* point) {
  using Clock = std::chrono::steady_clock;
  const MatrixView queries = data.queries;
  std::vector<uint32_t> found(queries.rows * kK);
  std::vector<double> microseconds;
  microseconds.reserve(queries.rows);
  const double start = ThreadSeconds();
  for (size_t q = 0; q < queries.rows; q += kBatchSizes[b]) {
    const size_t n = std::min(kBatchSizes[b], queries.rows - q);
    const auto begin = Clock::now();
    contender.Search(setting, queries.Rows(q, n), &found[q * kK]);
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    microseconds.push_back(took.count());
  }
  const double seconds = ThreadSeconds() - start;
  point->qps[b] = std::max(point->qps[b], static_cast<double>(queries.rows) / seconds);
  // Batches answer as single queries do, but for rounding: the last counts.
  point->recall = Recall(data, found);
  if (kBatchSizes[b] > 1) return;
  const auto keep_least = [](double* least, double value) {
    *least = *least == 0 ? value : std::min(*least, value);
  };
  keep_least(&point->p50_us, Quantile(microseconds, 0.5));
  keep_least(&point->p99_us, Quantile(microseconds, 0.99));
}

// One round of every setting of a contender.
void MeasureRound(const Dataset& data, Contender& contender, std::vector<Point>* points) {
  const std::vector<std::string> settings = contender.settings();
  points->resize(settings.size());
  for (size_t s = 0; s < settings.size(); ++s) {
    (*points)[s].setting = settings[s];
    for (size_t b = 0; b < kBatchSizes.size(); ++b) {
      MeasurePass(data, contender, s, b, &(*points)[s]);
    }
  }
}

}  // namespace

std::vector<Series> Measure(const Dataset& data,
                            const std::vector<std::unique_ptr<Contender>>& contenders,
                            size_t rounds) {
  std::vector<Series> all;
  for (const auto& c : contenders) {
    all.push_back({c->name(), c->bytes_per_point(), c->build_seconds, {}});
  }
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t c = 0; c < all.size(); ++c) MeasureRound(data, *contenders[c], &all[c].points);
  }
  return all;
}

std::vector<Point> Unbeaten(const std::vector<Point>& points, size_t batch) {
  std::vector<Point> unbeaten;
  for (const Point& p : points) {
    const bool beaten = std::any_of(points.begin(), points.end(), [&](const Point& other) {
      return other.recall > p.recall && other.qps[batch] > p.qps[batch];
    });
    if (!beaten) unbeaten.push_back(p);
  }
  std::sort(unbeaten.begin(), unbeaten.end(),
            [](const Point& a, const Point& b) { return a.recall < b.recall; });
  return unbeaten;
}

double QpsAtRecall(const std::vector<Point>& points, double recall, size_t batch) {
  const std::vector<Point> best = Unbeaten(points, batch);
  for (size_t i = 0; i < best.size(); ++i) {
    if (best[i].recall < recall) continue;
    if (i == 0) return best[0].qps[batch];
    const double t = (recall - best[i - 1].recall) / (best[i].recall - best[i - 1].recall);
    return std::exp((1 - t) * std::log(best[i - 1].qps[batch]) + t * std::log(best[i].qps[batch]));
  }
  return 0;
}

void PrintPoints(const std::vector<Series>& all) {
  for (const Series& series : all) {
    std::printf("\n%s\n\n", series.contender.c_str());
    std::printf(
        "| setting | recall@10 | QPS, 1 at a time | batches of 100 | of 1,000 | p50 (us) | p99 "
        "|\n");
    std::printf("|---|---|---|---|---|---|---|\n");
    for (const Point& p : series.points) {
      std::printf("| %s | %.4f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", p.setting.c_str(), p.recall,
                  p.qps[0], p.qps[1], p.qps[2], p.p50_us, p.p99_us);
    }
  }
  std::fflush(stdout);
}

void PrintAtEqualRecall(const std::vector<Series>& all) {
  constexpr std::array<double, 4> kRecalls = {0.90, 0.95, 0.98, 0.99};
  std::printf("\nQPS at equal recall@10 (one at a time / batches of 100 / of 1,000)\n\n");
  std::printf("| contender | bytes a point | build (s) |");
  for (double recall : kRecalls) std::printf(" %.2f |", recall);
  std::printf("\n|---|---|---|---|---|---|---|\n");
  for (const Series& series : all) {
    std::printf("| %s | %.0f |", series.contender.c_str(), series.bytes_per_point);
    if (series.build_seconds > 0) std::printf(" %.1f |", series.build_seconds);
    if (series.build_seconds == 0) std::printf(" from the cache |");
    for (double recall : kRecalls) {
      std::printf(" %.0f / %.0f / %.0f |", QpsAtRecall(series.points, recall, 0),
                  QpsAtRecall(series.points, recall, 1), QpsAtRecall(series.points, recall, 2));
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

}  // namespace tessera::bench
