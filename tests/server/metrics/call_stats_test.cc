#include "server/metrics/call_stats.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace tessera {
namespace {

constexpr auto kOk = static_cast<size_t>(absl::StatusCode::kOk);
constexpr auto kUnknown = static_cast<size_t>(absl::StatusCode::kUnknown);

TEST(CallStatsTest, CountsByMethodCodeAndTime) {
  CallStats stats;
  EXPECT_TRUE(stats.Read().empty());
  stats.Record("Points.Search", absl::StatusCode::kOk, absl::Microseconds(100));  // a bound
  stats.Record("Points.Search", absl::StatusCode::kOk, absl::Microseconds(101));
  stats.Record("Points.Search", absl::StatusCode::kNotFound, absl::Hours(1));
  stats.Record("Points.Count", absl::StatusCode::kOk, absl::ZeroDuration());

  const std::vector<CallStats::Method> methods = stats.Read();
  ASSERT_EQ(methods.size(), 2u);
  EXPECT_EQ(methods[0].name, "Points.Count");
  EXPECT_EQ(methods[0].by_time[0], 1u);
  const CallStats::Method& search = methods[1];
  EXPECT_EQ(search.name, "Points.Search");
  EXPECT_EQ(search.by_code[kOk], 2u);
  EXPECT_EQ(search.by_code[static_cast<size_t>(absl::StatusCode::kNotFound)], 1u);
  EXPECT_EQ(search.by_time[0], 1u);
  EXPECT_EQ(search.by_time[1], 1u);
  EXPECT_EQ(search.by_time.back(), 1u);
  EXPECT_EQ(search.time, absl::Hours(1) + absl::Microseconds(201));
}

TEST(CallStatsTest, TakesACodeThatGrpcDoesNotKnowForUnknown) {
  CallStats stats;
  stats.Record("Points.Get", static_cast<absl::StatusCode>(99), absl::ZeroDuration());
  stats.Record("Points.Get", static_cast<absl::StatusCode>(-1), absl::ZeroDuration());
  EXPECT_EQ(stats.Read().at(0).by_code[kUnknown], 2u);
}

TEST(CallStatsTest, LosesNoCallOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 10'000;
  CallStats stats;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&stats, t] {
      for (int i = 0; i < kCalls; ++i) {
        stats.Record(i % 2 == 0 ? "even" : std::to_string(t), absl::StatusCode::kOk,
                     absl::Microseconds(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t calls = 0;
  absl::Duration time;
  for (const CallStats::Method& method : stats.Read()) {
    calls += std::accumulate(method.by_time.begin(), method.by_time.end(), uint64_t{0});
    time += method.time;
  }
  EXPECT_EQ(calls, uint64_t{kThreads * kCalls});
  EXPECT_EQ(time, absl::Microseconds(kThreads * kCalls));
}

}  // namespace
}  // namespace tessera
