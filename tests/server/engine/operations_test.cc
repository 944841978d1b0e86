#include "server/engine/operations.h"

#include <gtest/gtest.h>

#include <thread>

#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

OperationInfo AwaitEnd(Operations& operations, OperationInfo info) {
  while (info.state == OperationState::kRunning) {
    info = *operations.Await(info.id, info.revision, absl::Seconds(5));
  }
  return info;
}

absl::Status UntilCancelled(Operations::Context& context) {
  while (context.OnProgress("waiting", 0, 0)) absl::SleepFor(absl::Milliseconds(1));
  return absl::CancelledError("asked to stop");
}

TEST(Operations, RunsAndReports) {
  Operations operations;
  auto started = operations.Start("train", "c", [](Operations::Context& context) {
    context.OnProgress("working", 3, 4);
    context.SetCodebookVersion(7);
    return absl::OkStatus();
  });
  ASSERT_TRUE(started.ok());
  const OperationInfo ended = AwaitEnd(operations, *started);
  EXPECT_EQ(ended.state, OperationState::kSucceeded);
  EXPECT_EQ(ended.codebook_version, 7u);
  EXPECT_EQ(ended.done, 3u);
  EXPECT_GE(ended.end_time_ms, ended.start_time_ms);
  EXPECT_EQ(operations.List("c").size(), 1u);
  EXPECT_TRUE(operations.List("other").empty());
}

TEST(Operations, KeepsTheErrorOfFailedWork) {
  Operations operations;
  auto started = operations.Start(
      "train", "c", [](Operations::Context&) { return absl::DataLossError("broken"); });
  const OperationInfo ended = AwaitEnd(operations, *started);
  EXPECT_EQ(ended.state, OperationState::kFailed);
  EXPECT_EQ(ended.error.message(), "broken");
}

TEST(Operations, OneAtATimePerCollectionAndCancelEndsIt) {
  Operations operations;
  auto started = operations.Start("train", "c", UntilCancelled);
  ASSERT_TRUE(started.ok());
  EXPECT_EQ(GetErrorDetails(operations.Start("train", "c", UntilCancelled).status()).reason,
            "OPERATION_RUNNING");
  EXPECT_TRUE(operations.IsRunning("c"));
  operations.CancelAndWait("c");
  EXPECT_FALSE(operations.IsRunning("c"));
  EXPECT_EQ(operations.Get(started->id)->state, OperationState::kCancelled);
  EXPECT_TRUE(absl::IsNotFound(operations.Get("nope").status()));
}

TEST(Operations, BoundsWhatRunsAndShutdownEndsAll) {
  Operations operations;
  for (size_t i = 0; i < limits::kOperationsRunningMax; ++i) {
    ASSERT_TRUE(operations.Start("train", std::to_string(i), UntilCancelled).ok());
  }
  EXPECT_TRUE(
      absl::IsResourceExhausted(operations.Start("train", "more", UntilCancelled).status()));
  operations.Shutdown();
  for (const OperationInfo& info : operations.List("")) {
    EXPECT_EQ(info.state, OperationState::kCancelled);
  }
  EXPECT_TRUE(absl::IsUnavailable(operations.Start("train", "c", UntilCancelled).status()));
}

}  // namespace
}  // namespace tessera
