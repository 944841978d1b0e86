#include "server/engine/search_parts.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace tessera {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Runs pieces one after the other, and notes them.
class NotingExecutor final : public Executor {
 public:
  explicit NotingExecutor(size_t threads) : threads_(threads) {}

  size_t Parallelism() const override { return threads_; }
  void ParallelFor(size_t n, size_t grain,
                   const std::function<void(size_t, size_t)>& body) override {
    grains.push_back(grain);
    InlineExecutor().ParallelFor(n, grain, body);
  }

  std::vector<size_t> grains;

 private:
  const size_t threads_;
};

std::vector<size_t> Lengths(Executor* executor, size_t n, size_t item_bytes) {
  std::vector<size_t> lengths;
  size_t next = 0;
  const absl::Status status =
      ForEachPart(executor, n, item_bytes, [&](size_t begin, size_t end) -> absl::Status {
        EXPECT_EQ(begin, next);
        next = end;
        lengths.push_back(end - begin);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(next, n);
  return lengths;
}

TEST(ForEachPart, IsOnePartWithoutAnExecutor) {
  EXPECT_EQ(Lengths(nullptr, 1'000, kMiB), std::vector<size_t>{1'000});
}

TEST(ForEachPart, IsOnePartWhereThereIsLittleToRead) {
  NotingExecutor executor(8);
  for (const auto& [n, bytes] : std::vector<std::pair<size_t, size_t>>{
           {0, kMiB}, {7, kMiB}, {1'000'000, 0}, {1'000, 1'000}}) {
    EXPECT_EQ(Lengths(&executor, n, bytes), std::vector<size_t>{n}) << n << " x " << bytes;
  }
  EXPECT_TRUE(executor.grains.empty());
}

TEST(ForEachPart, GivesEachThreadTwoParts) {
  NotingExecutor executor(4);
  EXPECT_EQ(Lengths(&executor, 80, kMiB), std::vector<size_t>(8, 10));
}

TEST(ForEachPart, MakesNoPartsThatAreNotWorthAThread) {
  NotingExecutor executor(16);
  EXPECT_EQ(Lengths(&executor, 16, kMiB), std::vector<size_t>(4, 4));
}

TEST(ForEachPart, MakesNoPartsThatOthersMustWaitFor) {
  NotingExecutor executor(2);
  EXPECT_EQ(Lengths(&executor, 640, kMiB), std::vector<size_t>(10, 64));
  EXPECT_EQ(Lengths(&executor, 3, 1'000 * kMiB), std::vector<size_t>(3, 1));
  EXPECT_EQ(Lengths(&executor, 1, 1'000 * kMiB), std::vector<size_t>{1});
}

TEST(ForEachPart, LeavesWholeWhatNoOtherThreadCanShare) {
  NotingExecutor executor(1);
  EXPECT_EQ(Lengths(&executor, 60, kMiB), std::vector<size_t>{60});
}

TEST(ForEachPart, ReturnsTheErrorOfAPart) {
  NotingExecutor executor(4);
  int calls = 0;
  const absl::Status status =
      ForEachPart(&executor, 80, kMiB, [&](size_t begin, size_t) -> absl::Status {
        ++calls;
        return begin == 30 ? absl::DataLossError("damaged") : absl::OkStatus();
      });
  EXPECT_EQ(status, absl::DataLossError("damaged"));
  EXPECT_EQ(calls, 8);
}

}  // namespace
}  // namespace tessera
